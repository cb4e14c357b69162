//! The HTTP interface of `recant`, its configuration, and its logs and metrics.
//!
//! ```
//! use std::collections::HashMap;
//!
//! use recant_http::config::Sources;
//!
//! // Defaults, then a file, then the environment, then flags; whatever is wrong is named by its key.
//! let variables = [("RECANT__MODEL__DIM", "128")];
//! let own = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
//! let environment: HashMap<_, _> = variables.into_iter().map(own).collect();
//! let sources = Sources { environment: Some(environment), ..Sources::default() };
//! assert_eq!(sources.load()?.model.dim, 128);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod config;
pub mod http;
pub mod telemetry;
