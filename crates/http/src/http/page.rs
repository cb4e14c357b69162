//! Pages of a list that is read in order.

/// Cuts `rows` to a page of `limit`. One more was asked for than a page holds: where it is there,
/// another page begins after the last row of this one, which is returned.
pub(super) fn cut_to_page<T>(rows: &mut Vec<T>, limit: usize) -> Option<&T> {
    let is_full = rows.len() > limit;
    rows.truncate(limit);
    rows.last().filter(|_| is_full)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_followed_by_another_where_there_is_more() {
        for (rows, limit, page, last) in [
            (vec![], 2, vec![], None),
            (vec![1, 2], 2, vec![1, 2], None),
            (vec![1, 2, 3], 2, vec![1, 2], Some(2)),
        ] {
            let mut cut = rows.clone();
            assert_eq!(cut_to_page(&mut cut, limit).copied(), last, "{rows:?}");
            assert_eq!(cut, page, "{rows:?}");
        }
    }
}
