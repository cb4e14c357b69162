//! Methods of unlearning: what becomes of a trained model when some of its data are taken away.
//!
//! All of them get the objective of the *retained* data and, but for a cold retrain, the parameters
//! as they were. What was erased is named by the rows it touched.

pub mod alteraser;
pub mod influence;
pub mod polish;
pub mod retrain;
pub mod shards;
pub mod trained;

use crate::graph::Graph;

/// Rows that a change of the data concerns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touched {
    /// Users whose interactions, or whose negatives, changed; sorted.
    pub users: Vec<u32>,
    /// Items whose interactions changed; sorted.
    pub items: Vec<u32>,
}

impl Touched {
    /// Users and items of some pairs.
    pub fn by_pairs(pairs: &[(u32, u32)]) -> Self {
        let mut touched = Self {
            users: pairs.iter().map(|(user, _)| *user).collect(),
            items: pairs.iter().map(|(_, item)| *item).collect(),
        };
        touched.settle();
        touched
    }

    /// Every row of `graph`.
    pub fn everything(graph: &Graph) -> Self {
        Self {
            users: (0..graph.user_rows() as u32).collect(),
            items: (0..graph.item_rows() as u32).collect(),
        }
    }

    /// The same with the neighbours of every row.
    pub fn with_neighbours(&self, graph: &Graph) -> Self {
        let mut wider = self.clone();
        for user in &self.users {
            wider.items.extend_from_slice(graph.users.neighbours(*user));
        }
        for item in &self.items {
            wider.users.extend_from_slice(graph.items.neighbours(*item));
        }
        wider.settle();
        wider
    }

    /// Whether nothing is touched.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.items.is_empty()
    }

    /// Sorts both lists and leaves each row once.
    pub fn settle(&mut self) {
        for rows in [&mut self.users, &mut self.items] {
            rows.sort_unstable();
            rows.dedup();
        }
    }
}
