//! Invented titles, each once.

use super::catalogue::CatalogueItem;
use super::words::{GENRES, Genre, genre_of};

/// The items of a catalogue, genres taking turns.
pub(super) fn items(count: usize) -> Vec<CatalogueItem> {
    (0..count)
        .map(|item| {
            let genre = &GENRES[genre_of(item)];
            let name = name(genre, item / GENRES.len());
            CatalogueItem {
                id: slug(&name),
                title: format!("{name} ({})", genre.name),
                genre: genre.name,
            }
        })
        .collect()
}

/// The title number `index` of a genre. First come the short ones, then those with a place, then
/// further volumes of both.
fn name(genre: &Genre, index: usize) -> String {
    let short = genre.adjectives.len() * genre.nouns.len();
    let per_volume = short * (1 + genre.places.len());
    let (volume, within) = (index / per_volume, index % per_volume);
    // Walking the table diagonally changes both words from one title to the next.
    let adjective = genre.adjectives[within % genre.adjectives.len()];
    let row = within % short / genre.adjectives.len();
    let noun = genre.nouns[(row + within) % genre.nouns.len()];
    let title = match within / short {
        0 => format!("The {adjective} {noun}"),
        place => format!("The {adjective} {noun} at {}", genre.places[place - 1]),
    };
    match volume {
        0 => title,
        _ => format!("{title}, Volume {}", volume + 1),
    }
}

/// Lower-case letters and digits, with a hyphen for everything between them.
fn slug(title: &str) -> String {
    let mut slug = String::with_capacity(title.len());
    for character in title.chars().flat_map(char::to_lowercase) {
        if character.is_alphanumeric() {
            slug.push(character);
        } else if character != '\'' && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn titles_and_ids_are_distinct_far_beyond_the_short_ones() {
        let items = items(40_000);
        let titles: HashSet<&str> = items.iter().map(|item| item.title.as_str()).collect();
        let ids: HashSet<&str> = items.iter().map(|item| item.id.as_str()).collect();
        assert_eq!((titles.len(), ids.len()), (40_000, 40_000));
    }

    #[test]
    fn a_title_says_its_genre_and_the_id_is_its_slug() {
        let first = &items(1)[0];
        assert_eq!(first.title, "The Quiet Orchard (gardening)");
        assert_eq!(first.id, "the-quiet-orchard");
        assert_eq!(
            slug("The Pale Doll at Widow's End"),
            "the-pale-doll-at-widows-end"
        );
    }
}
