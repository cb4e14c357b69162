//! Joins store, model and readers: what happens to a request from the moment it is understood.
