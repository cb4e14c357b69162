//! How close two models of the same interactions are: three figures of the library's comparison,
//! without its sorting of all items, which would take longer than what is measured.
#![allow(dead_code)]

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use rayon::prelude::*;
use recant_core::model::{Ials, InteractionMatrix};
use recant_eval::{best, jaccard};

/// Users whose scores one parallel task computes.
const USERS_PER_TASK: usize = 32;

/// Length of the compared lists.
pub const K: usize = 10;

/// How two models differ over all users and items that have an interaction.
#[derive(Debug, Clone, Copy, Default)]
pub struct Closeness {
    /// Largest `|x_ui − y_ui|`.
    pub largest: f64,
    /// Root mean square of `x_ui − y_ui`.
    pub root_mean_square: f64,
    /// Mean over users of the Jaccard similarity of their ten best items, seen ones left out.
    pub jaccard: f64,
}

struct Sums {
    users: usize,
    largest: f64,
    squared: f64,
    jaccard: f64,
}

/// Compares two models of `matrix`. Cost: `2·users·items·d` multiply-adds.
pub fn closeness(a: &Ials, b: &Ials, matrix: &InteractionMatrix) -> Closeness {
    let items: Vec<u32> = (0..matrix.item_rows() as u32)
        .filter(|item| !matrix.item(*item).is_empty())
        .collect();
    let tasks: Vec<Sums> = (0..matrix.user_rows())
        .into_par_iter()
        .step_by(USERS_PER_TASK)
        .map(|first| compared(a, b, matrix, &items, first))
        .collect();
    let users: usize = tasks.iter().map(|sums| sums.users).sum();
    let squared: f64 = tasks.iter().map(|sums| sums.squared).sum();
    Closeness {
        largest: tasks.iter().map(|sums| sums.largest).fold(0.0, f64::max),
        root_mean_square: (squared / (users * items.len()) as f64).sqrt(),
        jaccard: tasks.iter().map(|sums| sums.jaccard).sum::<f64>() / users as f64,
    }
}

/// The scores of every item for the users from row `first` on, one column a user.
fn scores(model: &Ials, first: usize) -> Mat<f64> {
    let (users, items) = (&model.users, &model.items);
    let d = users.dim();
    let last = (first + USERS_PER_TASK).min(users.rows());
    let own = MatRef::from_row_major_slice(&users.as_slice()[first * d..last * d], last - first, d);
    let all = MatRef::from_row_major_slice(items.as_slice(), items.rows(), d);
    let mut scores = Mat::zeros(items.rows(), last - first);
    let into = scores.as_mut();
    matmul(into, Accum::Replace, all, own.transpose(), 1.0, Par::Seq);
    scores
}

fn compared(a: &Ials, b: &Ials, matrix: &InteractionMatrix, items: &[u32], first: usize) -> Sums {
    let (a, b) = (scores(a, first), scores(b, first));
    let mut sums = Sums {
        users: 0,
        largest: 0.0,
        squared: 0.0,
        jaccard: 0.0,
    };
    for column in 0..a.ncols() {
        let history = matrix.user((first + column) as u32);
        if history.is_empty() {
            continue;
        }
        let (a, b) = (a.col_as_slice(column), b.col_as_slice(column));
        for item in items {
            let difference = (a[*item as usize] - b[*item as usize]).abs();
            sums.largest = sums.largest.max(difference);
            sums.squared += difference * difference;
        }
        let open = |item: u32| {
            let seen = history.binary_search_by_key(&item, |entry| entry.index);
            seen.is_err() && !matrix.item(item).is_empty()
        };
        sums.jaccard += jaccard(&best(a, K, open), &best(b, K, open));
        sums.users += 1;
    }
    sums
}
