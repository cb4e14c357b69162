//! A synthetic catalogue with structure that a person can see.
//!
//! Items belong to genres and say so in their titles; a few are popular and most are not; users
//! have favourite genres, and some are far more active than others. So a recommendation can be
//! judged by reading it. Everything follows from a seed.

mod titles;
mod users;
mod words;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use words::GENRES;

/// Most users, and most items, of a generated catalogue; ids are numbered in 32 bits and the
/// titles stay readable.
pub const SIDE_MAX: usize = 10_000_000;

/// Most interactions of a generated catalogue: 8 bytes each are held in memory.
pub const INTERACTIONS_MAX: usize = 500_000_000;

/// Exponent of the Zipf law of item popularity: the r-th most popular item is drawn with weight
/// r^-0.8, about what film catalogues show.
const POPULARITY_EXPONENT: f64 = 0.8;

/// How large a catalogue is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogueSize {
    /// Number of users.
    pub users: usize,
    /// Number of items.
    pub items: usize,
    /// Number of distinct pairs of a user and an item.
    pub interactions: usize,
}

/// Why there is no catalogue of the wanted size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCatalogueSize {
    /// A count is zero.
    #[error("users, items and interactions must each be at least 1")]
    Zero,
    /// A count is beyond its limit.
    #[error(
        "at most {SIDE_MAX} users, {SIDE_MAX} items and {INTERACTIONS_MAX} interactions are made"
    )]
    TooLarge,
    /// There are fewer pairs than interactions wanted.
    #[error(
        "{users} users and {items} items make {pairs} pairs: ask for at most so many interactions"
    )]
    TooManyInteractions {
        /// Users wanted.
        users: usize,
        /// Items wanted.
        items: usize,
        /// Their product.
        pairs: u128,
    },
}

impl CatalogueSize {
    /// Returns `self` when a catalogue of this size exists.
    pub fn checked(self) -> Result<Self, InvalidCatalogueSize> {
        if self.users == 0 || self.items == 0 || self.interactions == 0 {
            return Err(InvalidCatalogueSize::Zero);
        }
        let side = self.users.max(self.items);
        if side > SIDE_MAX || self.interactions > INTERACTIONS_MAX {
            return Err(InvalidCatalogueSize::TooLarge);
        }
        let pairs = self.users as u128 * self.items as u128;
        if self.interactions as u128 > pairs {
            return Err(InvalidCatalogueSize::TooManyInteractions {
                users: self.users,
                items: self.items,
                pairs,
            });
        }
        Ok(self)
    }
}

impl Default for CatalogueSize {
    /// What `recant demo` makes: enough for recommendations to follow taste, little enough to be
    /// trained in a second or two.
    fn default() -> Self {
        Self {
            users: 2_000,
            items: 1_000,
            interactions: 60_000,
        }
    }
}

/// One item of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueItem {
    /// The title in lower case with hyphens; unique.
    pub id: String,
    /// The title, with the genre in brackets; unique.
    pub title: String,
    /// The genre.
    pub genre: &'static str,
}

/// A generated catalogue. The people in it are as invented as the titles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalogue {
    /// Ids of the users, such as `ada-0001`.
    pub users: Vec<String>,
    /// The items.
    pub items: Vec<CatalogueItem>,
    /// Distinct pairs of positions in `users` and `items`, one user after the other.
    pub interactions: Vec<(u32, u32)>,
}

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

/// The genre of an item: they take turns, so that even a tiny catalogue has several.
fn genre_of(item: usize) -> usize {
    item % GENRES.len()
}

/// Weights of the items, by a Zipf law over a random order.
fn popularity(items: usize, random: &mut ChaCha8Rng) -> Vec<f64> {
    let mut weights: Vec<f64> = (1..=items)
        .map(|rank| (rank as f64).powf(-POPULARITY_EXPONENT))
        .collect();
    weights.shuffle(random);
    weights
}
