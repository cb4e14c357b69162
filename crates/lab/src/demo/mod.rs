//! A synthetic catalogue with structure that a person can see.
//!
//! Items belong to genres and say so in their titles; a few are popular and most are not; users
//! have favourite genres, and some are far more active than others. So a recommendation can be
//! judged by reading it. Everything follows from a seed.

mod catalogue;
mod titles;
mod users;
mod words;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

pub use catalogue::{
    Catalogue, CatalogueItem, CatalogueSize, INTERACTIONS_MAX, InvalidCatalogueSize, SIDE_MAX,
};

/// Exponent of the Zipf law of item popularity: the r-th most popular item is drawn with weight
/// r^-0.8, about what film catalogues show.
const POPULARITY_EXPONENT: f64 = 0.8;

/// Makes the catalogue of this size that belongs to `seed`.
///
/// Cost: O(interactions · log items), plus O(items) for each user who has seen a large part of the
/// catalogue.
///
/// ```
/// use recant_lab::demo::{CatalogueSize, generate};
/// let size = CatalogueSize { users: 10, items: 10, interactions: 30 };
/// let catalogue = generate(&size, 7)?;
/// assert_eq!(catalogue.interactions.len(), 30);
/// assert_eq!(catalogue.users[0], "ada-0001");
/// # Ok::<(), recant_lab::demo::InvalidCatalogueSize>(())
/// ```
pub fn generate(size: &CatalogueSize, seed: u64) -> Result<Catalogue, InvalidCatalogueSize> {
    let size = size.checked()?;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let items = titles::items(size.items);
    let popularity = popularity(size.items, &mut random);
    Ok(Catalogue {
        users: users::names(size.users),
        interactions: users::interactions(&size, &popularity, &mut random),
        items,
    })
}

/// Weights of the items, by a Zipf law over a random order.
fn popularity(items: usize, random: &mut ChaCha8Rng) -> Vec<f64> {
    let mut weights: Vec<f64> = (1..=items)
        .map(|rank| (rank as f64).powf(-POPULARITY_EXPONENT))
        .collect();
    weights.shuffle(random);
    weights
}
