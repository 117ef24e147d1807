//! Configuration files.

mod files;
