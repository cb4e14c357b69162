//! Invented users, and what each has seen.

use rand::Rng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;

use super::catalogue::CatalogueSize;
use super::words::{FIRST_NAMES, GENRES, genre_of};

/// Most favourite genres of one user.
const FAVOURITES_MAX: usize = 3;

/// How much likelier an item of a favourite genre is than an equally popular other one. With two
/// favourites of twelve it puts nine tenths of what a user has seen into them.
const FAVOURITE_BOOST: f64 = 45.0;

/// Exponent of the law of activity: the r-th most active user has about r^-0.5 of the activity of
/// the first.
const ACTIVITY_EXPONENT: f64 = 0.5;

/// Largest share of the catalogue that one user sees while there is a choice, so that something is
/// left to recommend.
const SEEN_SHARE_MAX: f64 = 0.5;

/// Share of the catalogue up to which drawing again after a repetition is the cheaper way.
const REDRAW_SHARE_MAX: f64 = 0.1;

/// Draws for each wanted item before giving up on drawing again.
const DRAWS_PER_ITEM_MAX: usize = 8;

/// Ids of the users: a first name and a number.
pub(super) fn names(count: usize) -> Vec<String> {
    (0..count)
        .map(|user| format!("{}-{:04}", FIRST_NAMES[user % FIRST_NAMES.len()], user + 1))
        .collect()
}

/// Draws exactly the wanted number of distinct pairs.
pub(super) fn interactions(
    size: &CatalogueSize,
    popularity: &[f64],
    random: &mut ChaCha8Rng,
) -> Vec<(u32, u32)> {
    let degrees = degrees(size, random);
    let mut taste = Taste::new(popularity);
    let mut pairs = Vec::with_capacity(size.interactions);
    for (user, &degree) in degrees.iter().enumerate() {
        let favourites = favourite_genres(random);
        for item in taste.draw(degree, &favourites, random) {
            pairs.push((user as u32, item));
        }
    }
    pairs
}

/// How many items each user has seen: skewed, at least one where there are enough, in sum exactly
/// the wanted number.
fn degrees(size: &CatalogueSize, random: &mut ChaCha8Rng) -> Vec<usize> {
    let comfortable = (size.items as f64 * SEEN_SHARE_MAX) as usize;
    let cap = comfortable
        .max(size.interactions.div_ceil(size.users))
        .clamp(1, size.items);
    let rank_order = index::sample(random, size.users, size.users).into_vec();
    let mut degrees = vec![0; size.users];
    let mut left = size.interactions;
    for user in rank_order.iter().take(left) {
        degrees[*user] = 1;
        left -= 1;
    }
    let activity = |rank: usize| ((rank + 1) as f64).powf(-ACTIVITY_EXPONENT);
    while left > 0 {
        // Whoever has reached the cap drops out, and the rest is shared again.
        let open: Vec<usize> = (0..size.users)
            .filter(|&rank| degrees[rank_order[rank]] < cap)
            .collect();
        let total: f64 = open.iter().map(|&rank| activity(rank)).sum();
        let to_share = left as f64;
        for rank in open {
            let share = (to_share * activity(rank) / total).floor() as usize;
            let user = rank_order[rank];
            let given = share.max(1).min(cap - degrees[user]).min(left);
            degrees[user] += given;
            left -= given;
        }
    }
    degrees
}

fn favourite_genres(random: &mut ChaCha8Rng) -> Vec<usize> {
    let count = random.random_range(1..=FAVOURITES_MAX);
    index::sample(random, GENRES.len(), count).into_vec()
}

/// Draws items by popularity, with favourite genres boosted.
struct Taste<'a> {
    popularity: &'a [f64],
    /// Items of each genre with the running sum of their weights.
    genres: Vec<GenreItems>,
    /// The user each item was last drawn for, so that nothing has to be cleared between users.
    drawn_for: Vec<u32>,
    user: u32,
}

#[derive(Default)]
struct GenreItems {
    items: Vec<u32>,
    cumulative: Vec<f64>,
}

impl GenreItems {
    fn total(&self) -> f64 {
        self.cumulative.last().copied().unwrap_or(0.0)
    }

    /// The item at `point`, 0 ≤ point < total.
    fn at(&self, point: f64) -> u32 {
        let position = self.cumulative.partition_point(|&sum| sum <= point);
        self.items[position.min(self.items.len() - 1)]
    }
}

impl<'a> Taste<'a> {
    fn new(popularity: &'a [f64]) -> Self {
        let mut genres: Vec<GenreItems> = GENRES.iter().map(|_| GenreItems::default()).collect();
        for (item, &weight) in popularity.iter().enumerate() {
            let genre = &mut genres[genre_of(item)];
            let sum = genre.total() + weight;
            genre.items.push(item as u32);
            genre.cumulative.push(sum);
        }
        Self {
            popularity,
            genres,
            drawn_for: vec![0; popularity.len()],
            user: 0,
        }
    }

    /// `count` distinct items for the next user.
    fn draw(&mut self, count: usize, favourites: &[usize], random: &mut ChaCha8Rng) -> Vec<u32> {
        self.user += 1;
        let mut drawn = Vec::with_capacity(count);
        if (count as f64) <= self.popularity.len() as f64 * REDRAW_SHARE_MAX {
            self.redraw(count, favourites, random, &mut drawn);
        }
        if drawn.len() < count {
            self.draw_rest(count - drawn.len(), favourites, random, &mut drawn);
        }
        drawn.sort_unstable();
        drawn
    }

    /// Draws with repetitions and leaves these out; may stop short of `count`.
    fn redraw(
        &mut self,
        count: usize,
        favourites: &[usize],
        random: &mut ChaCha8Rng,
        drawn: &mut Vec<u32>,
    ) {
        let weights: Vec<f64> = (0..self.genres.len())
            .map(|genre| boost(genre, favourites) * self.genres[genre].total())
            .collect();
        let total: f64 = weights.iter().sum();
        for _ in 0..count * DRAWS_PER_ITEM_MAX {
            if drawn.len() == count {
                return;
            }
            let mut point = random.random::<f64>() * total;
            let mut genre = 0;
            while genre + 1 < weights.len() && point >= weights[genre] {
                point -= weights[genre];
                genre += 1;
            }
            let items = &self.genres[genre];
            if items.items.is_empty() {
                continue;
            }
            let item = items.at(point / boost(genre, favourites));
            if std::mem::replace(&mut self.drawn_for[item as usize], self.user) != self.user {
                drawn.push(item);
            }
        }
    }

    /// Draws `count` of the items not yet drawn, without replacement: those with the smallest
    /// −ln(U)/w, U uniform (Efraimidis & Spirakis, "Weighted random sampling with a reservoir",
    /// 2006). O(items).
    fn draw_rest(
        &mut self,
        count: usize,
        favourites: &[usize],
        random: &mut ChaCha8Rng,
        drawn: &mut Vec<u32>,
    ) {
        let mut keys: Vec<(f64, u32)> = Vec::with_capacity(self.popularity.len());
        for (item, &weight) in self.popularity.iter().enumerate() {
            if self.drawn_for[item] != self.user {
                let uniform = 1.0 - random.random::<f64>();
                let weight = weight * boost(genre_of(item), favourites);
                keys.push((-uniform.ln() / weight, item as u32));
            }
        }
        if count < keys.len() {
            keys.select_nth_unstable_by(count, |a, b| a.0.total_cmp(&b.0));
        }
        drawn.extend(keys[..count].iter().map(|&(_, item)| item));
    }
}

fn boost(genre: usize, favourites: &[usize]) -> f64 {
    if favourites.contains(&genre) {
        FAVOURITE_BOOST
    } else {
        1.0
    }
}
