//! skytide
