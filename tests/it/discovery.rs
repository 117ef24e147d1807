//! Where client IDs come from: files and inventories.

mod files;
mod urls;
