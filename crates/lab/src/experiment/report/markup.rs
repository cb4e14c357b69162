//! Text in HTML.

/// Text that cannot be taken for markup, inside an element or an attribute.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_that_opens_or_closes() {
        let escaped = escape("<script src=\"x\">'&'</script>");
        assert!(!escaped.contains(['<', '>', '"', '\'']));
        assert_eq!(escape("λ = 0.02"), "λ = 0.02");
    }
}
