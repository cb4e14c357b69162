//! The HTTP interface: one file a route; parse, call the service, answer.
