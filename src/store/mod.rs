//! What is on the disk, and when it is safe.
