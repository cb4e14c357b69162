//! The Merkle tree of RFC 9162 over receipts, stored node by node and never changed.

use tlog_tiles::{Error, Hash, HashReader, node_hash, record_hash, stored_hash_index, tree_hash};

/// A node: SHA-256 of a leaf (after a byte 0) or of two nodes (after a byte 1).
pub type Node = [u8; 32];

/// Where the nodes of a tree are. A node's number is its place in the order in which complete subtrees
/// are completed, so it is the same at every size of the tree.
pub trait TreeNodes {
    /// The node with this number; `None` when it is not there.
    fn node(&self, number: u64) -> Option<Node>;
}

impl<F: Fn(u64) -> Option<Node>> TreeNodes for F {
    fn node(&self, number: u64) -> Option<Node> {
        self(number)
    }
}

/// Nodes as the library reads them.
pub(super) struct Reader<'a, N: TreeNodes>(pub(super) &'a N);

impl<N: TreeNodes> HashReader for Reader<'_, N> {
    fn read_hashes(&self, numbers: &[u64]) -> Result<Vec<Hash>, Error> {
        let node = |number: &u64| self.0.node(*number).map(Hash);
        let nodes: Option<Vec<Hash>> = numbers.iter().map(node).collect();
        nodes.ok_or(Error::IndexesNotInTree)
    }
}

/// The root of the tree over the first `size` leaves; `None` when a node is missing. Cost: at most
/// 1 + log₂ of `size` nodes are read.
pub fn root(size: u64, nodes: &impl TreeNodes) -> Option<Node> {
    let root = tree_hash(size, &Reader(nodes)).ok()?;
    Some(root.0)
}

/// The right edge of a tree: what appending needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReceiptTree {
    size: u64,
    /// The roots of the complete subtrees from left to right, which have as many leaves as the bits of
    /// the size say.
    edge: Vec<Node>,
}

impl ReceiptTree {
    /// The tree of `size` leaves whose nodes are stored; `None` when one of its edge is missing.
    pub fn open(size: u64, nodes: &impl TreeNodes) -> Option<Self> {
        let (mut edge, mut before) = (Vec::new(), 0);
        for level in (0..64).rev().filter(|level| size >> level & 1 == 1) {
            edge.push(nodes.node(stored_hash_index(level, before >> level))?);
            before += 1 << level;
        }
        Some(Self { size, edge })
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a receipt, in compact form, and returns the new nodes with their numbers: two on average.
    pub fn append(&mut self, compact: &str) -> Vec<(u64, Node)> {
        let leaf = self.size;
        let mut node = record_hash(compact.as_bytes());
        let mut new = vec![(stored_hash_index(0, leaf), node.0)];
        // Each trailing 1 of the number of a leaf completes a subtree.
        for level in 0..leaf.trailing_ones() as u8 {
            let left = self.edge.pop().expect("a subtree for each 1 of the size");
            node = node_hash(Hash(left), node);
            new.push((stored_hash_index(level + 1, leaf >> (level + 1)), node.0));
        }
        self.edge.push(node.0);
        self.size += 1;
        new
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::HashMap;

    use sha2::{Digest, Sha256};

    use super::*;

    pub(crate) fn leaves(count: usize) -> Vec<String> {
        (0..count)
            .map(|number| format!("receipt {number}"))
            .collect()
    }

    /// A tree over `leaves` with its nodes.
    pub(crate) fn grown(leaves: &[String]) -> (ReceiptTree, HashMap<u64, Node>) {
        let (mut tree, mut nodes) = (ReceiptTree::default(), HashMap::new());
        for leaf in leaves {
            for (number, node) in tree.append(leaf) {
                assert_eq!(nodes.insert(number, node), None, "a node is written once");
            }
        }
        (tree, nodes)
    }

    /// The definition of RFC 9162, section 2.1.1, word for word.
    pub(crate) fn defined(leaves: &[String]) -> Node {
        match leaves {
            [] => Sha256::digest("").into(),
            [leaf] => Sha256::digest([b"\0", leaf.as_bytes()].concat()).into(),
            _ => {
                let half = leaves.len().next_power_of_two() / 2;
                let (left, right) = leaves.split_at(half);
                let both = [&[1][..], &defined(left), &defined(right)].concat();
                Sha256::digest(both).into()
            }
        }
    }

    #[test]
    fn every_size_has_the_root_that_the_standard_defines() {
        let leaves = leaves(70);
        let (_, nodes) = grown(&leaves);
        let read = |number| nodes.get(&number).copied();
        for size in 0..=leaves.len() {
            assert_eq!(root(size as u64, &read), Some(defined(&leaves[..size])));
            let reopened = ReceiptTree::open(size as u64, &read).expect("all nodes are there");
            assert_eq!(reopened, grown(&leaves[..size]).0);
        }
    }

    #[test]
    fn a_missing_node_is_noticed() {
        let (tree, nodes) = grown(&leaves(6));
        let read = |number: u64| nodes.get(&number).copied().filter(|_| number != 6);
        assert_eq!(ReceiptTree::open(tree.size(), &read), None);
        assert_eq!(root(tree.size(), &read), None);
    }
}
