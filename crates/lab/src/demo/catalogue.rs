//! A generated catalogue, and how large one may be.

/// Most users, and most items, of a generated catalogue; ids are numbered in 32 bits and the
/// titles stay readable.
pub const SIDE_MAX: usize = 10_000_000;

/// Most interactions of a generated catalogue: 8 bytes each are held in memory.
pub const INTERACTIONS_MAX: usize = 500_000_000;

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
