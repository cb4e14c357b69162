//! Bytes as base64url without padding (RFC 7515, section 2), read strictly: one text for one value.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The text of `bytes`.
pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of `text`; `None` when it is not the one text that stands for them.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// The `N` bytes of `text`.
pub(crate) fn decode_array<const N: usize>(text: &str) -> Option<[u8; N]> {
    decode(text)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_one_text() {
        assert_eq!(decode("AQ").as_deref(), Some(&[1][..]));
        for other in ["AR", "AQ==", "AQ ", "A+", "A/", "A"] {
            assert_eq!(decode(other), None, "{other}");
        }
        assert_eq!(decode_array::<2>("AQ"), None);
    }
}
