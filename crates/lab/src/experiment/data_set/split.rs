//! What is held out.

use super::row::Row;
use recant_core::model::{Entry, InteractionMatrix};
use recant_eval::hold_out;

/// What is trained on, and the held-out items by user row, ascending.
type Split = (InteractionMatrix, Vec<Vec<u32>>);

/// The source's own split. What is in both parts counts as trained on.
pub(super) fn own(train: &[Row], test: &[Row], users: usize, items: usize) -> Split {
    let matrix = matrix(train, users, items);
    let mut held_out = vec![Vec::new(); users];
    for row in test {
        let history = matrix.user(row.user);
        let known = history.binary_search_by_key(&row.item, |entry| entry.index);
        if known.is_err() {
            held_out[row.user as usize].push(row.item);
        }
    }
    for items in &mut held_out {
        items.sort_unstable();
        items.dedup();
    }
    (matrix, held_out)
}

/// A share of the history of every user who has enough, see [`hold_out`].
pub(super) fn random(rows: &[Row], users: usize, items: usize, share: f64, seed: u64) -> Split {
    let holdout = hold_out(&matrix(rows, users, items), share, seed);
    (holdout.train, holdout.held_out)
}

/// The last interaction of every user with at least two: by time where every row has one, and in
/// the order of the rows among equal times or without them.
pub(super) fn last(rows: &[Row], users: usize, items: usize) -> Split {
    let timed = rows.iter().all(|row| row.time.is_some());
    let mut histories: Vec<Vec<(Option<i64>, u32)>> = vec![Vec::new(); users];
    for row in rows {
        let history = &mut histories[row.user as usize];
        let time = row.time.filter(|_| timed);
        // A repeated pair counts at its last place.
        history.retain(|(_, item)| *item != row.item);
        history.push((time, row.item));
    }
    let mut held_out = vec![Vec::new(); users];
    for (history, held_out) in histories.iter_mut().zip(&mut held_out) {
        history.sort_by_key(|(time, _)| *time);
        if history.len() > 1 {
            held_out.extend(history.pop().map(|(_, item)| item));
        }
    }
    let of = |history: Vec<(Option<i64>, u32)>| history.into_iter().map(|(_, item)| entry(item));
    let histories = histories.into_iter().map(|history| of(history).collect());
    (
        InteractionMatrix::from_histories(histories.collect(), items),
        held_out,
    )
}

fn entry(index: u32) -> Entry {
    Entry::wanted(index, 1.0)
}

fn matrix(rows: &[Row], users: usize, items: usize) -> InteractionMatrix {
    let mut histories = vec![Vec::new(); users];
    for row in rows {
        histories[row.user as usize].push(entry(row.item));
    }
    InteractionMatrix::from_histories(histories, items)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(user: u32, item: u32, time: Option<i64>) -> Row {
        Row { user, item, time }
    }

    fn items(matrix: &InteractionMatrix, user: u32) -> Vec<u32> {
        matrix.user(user).iter().map(|entry| entry.index).collect()
    }

    #[test]
    fn the_last_is_by_time_where_every_row_has_one() {
        let rows = [
            row(0, 1, Some(30)),
            row(0, 2, Some(10)),
            row(0, 3, Some(30)),
            row(1, 4, Some(5)),
        ];
        let (train, held_out) = last(&rows, 2, 5);
        assert_eq!(held_out, [vec![3], vec![]]);
        assert_eq!((items(&train, 0), items(&train, 1)), (vec![1, 2], vec![4]));
    }

    #[test]
    fn without_all_times_the_order_of_the_rows_counts() {
        let rows = [
            row(0, 1, Some(99)),
            row(0, 2, None),
            row(0, 3, Some(1)),
            row(0, 1, None),
        ];
        let (train, held_out) = last(&rows, 1, 5);
        assert_eq!(held_out, [vec![1]]);
        assert_eq!(items(&train, 0), [2, 3]);
    }

    #[test]
    fn what_was_trained_on_is_not_held_out() {
        let train = [row(0, 1, None), row(0, 2, None)];
        let test = [
            row(0, 2, None),
            row(0, 4, None),
            row(0, 3, None),
            row(0, 4, None),
        ];
        let (matrix, held_out) = own(&train, &test, 1, 5);
        assert_eq!(held_out, [vec![3, 4]]);
        assert_eq!(items(&matrix, 0), [1, 2]);
        assert_eq!(matrix.item_rows(), 5);
    }
}
