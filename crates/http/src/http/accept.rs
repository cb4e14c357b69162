//! The `Accept` header (RFC 9110, 12.5.1), as far as it chooses between two forms of an answer.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

/// Whether a caller would rather have `wanted` than `usual`, both media types without parameters. Who
/// wants both alike, says nothing, or says what is not understood, gets what is usual; nobody is refused.
pub(super) fn prefers(headers: &HeaderMap, wanted: &str, usual: &str) -> bool {
    let values = headers.get_all(ACCEPT).iter();
    let ranges = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(Range::read);
    let ranges: Vec<Range> = ranges.collect();
    quality(&ranges, wanted) > quality(&ranges, usual)
}

/// How much a media type is wanted: as the most specific range says that it is in, 0 when it is in none.
fn quality(ranges: &[Range<'_>], media_type: &str) -> f32 {
    let said = ranges.iter().filter_map(|range| {
        let specific = range.covers(media_type)?;
        Some((specific, range.quality))
    });
    let most = said.max_by(|one, other| one.0.cmp(&other.0).then(one.1.total_cmp(&other.1)));
    most.map_or(0.0, |(_, quality)| quality)
}

/// One of the ranges that a caller names. Parameters but for its quality are not looked at.
struct Range<'a> {
    main: &'a str,
    sub: &'a str,
    quality: f32,
}

impl<'a> Range<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (main, sub) = parts.next()?.split_once('/')?;
        let quality = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.trim()
                .eq_ignore_ascii_case("q")
                .then(|| value.trim().parse().ok())
        });
        let quality: f32 = quality.unwrap_or(Some(1.0))?;
        (0.0..=1.0)
            .contains(&quality)
            .then_some(Self { main, sub, quality })
    }

    /// How specific it is about a media type: 0 for any, 1 for any of a kind, 2 for this one.
    fn covers(&self, media_type: &str) -> Option<u8> {
        let (main, sub) = media_type.split_once('/')?;
        let is_kind = self.main.eq_ignore_ascii_case(main);
        match (self.main, self.sub) {
            ("*", "*") => Some(0),
            (_, "*") => is_kind.then_some(1),
            (_, named) => (is_kind && named.eq_ignore_ascii_case(sub)).then_some(2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefers_json(values: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(ACCEPT, value.parse().expect("a header"));
        }
        prefers(&headers, "application/json", "application/x-ndjson")
    }

    #[test]
    fn json_is_sent_to_those_who_want_it_more() {
        for wants in [
            &["application/json"][..],
            &["Application/JSON; charset=utf-8"],
            &["application/json;q=0.1"],
            &["text/html, application/json ; Q = 0.5"],
            &["text/html", "application/json"],
            &["application/json, */*;q=0.5"],
            &["application/json, application/*;q=0.9"],
            &["application/*, application/x-ndjson;q=0.5"],
            &["*/*, application/x-ndjson;q=0"],
        ] {
            assert!(prefers_json(wants), "{wants:?}");
        }
    }

    #[test]
    fn everybody_else_gets_lines() {
        for does_not in [
            &[][..],
            &[""],
            &["*/*"],
            &["application/*"],
            &["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"],
            &["application/json, text/plain, */*"],
            &["application/json, application/x-ndjson"],
            &["application/json;q=0.5, application/x-ndjson"],
            &["application/json;q=0"],
            &["application/json;q=2"],
            &["application/json;q=x"],
            &["application/json;q=NaN"],
            &["application/json-seq"],
            &["json", "/", ";;;", ","],
            &["application/x-ndjson"],
            &["image/png"],
        ] {
            assert!(!prefers_json(does_not), "{does_not:?}");
        }
    }
}
