//! Experiments with methods of unlearning, side by side, and a synthetic catalogue.
//!
//! ```
//! use recant_lab::demo::{CatalogueSize, generate};
//!
//! let size = CatalogueSize { users: 20, items: 10, interactions: 60 };
//! let catalogue = generate(&size, 1)?;
//! assert_eq!(catalogue.interactions.len(), 60);
//! assert!(catalogue.items.iter().all(|item| item.title.contains(item.genre)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(unreachable_pub)]

pub mod demo;
pub mod experiment;
