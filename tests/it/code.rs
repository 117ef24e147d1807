//! Rules about the code itself, and the seeds of the fuzz targets.

mod rows;
mod seeds;
mod structure;
