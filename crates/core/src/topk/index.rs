//! The items in the order of their norms, in bytes, so that a query looks at few of them.

use std::sync::Arc;

use pulp::Arch;
use rayon::prelude::*;

use crate::topk::kernel::{Kernel, SLOTS};
use crate::topk::page::{Coordinates, Layout, Page, norm};
use crate::topk::rows::PagedRows;
use crate::topk::transform::Transform;

/// Norms for which neither squares nor products leave the range where f32 rounds relatively. Items
/// outside are scored in every query; a query outside looks at every item.
const NORM_MIN: f64 = 1.0 / (1 << 30) as f64;
const NORM_MAX: f64 = (1 << 30) as f64;

/// How much a norm may grow before its item must leave its place.
const REACH_SLACK: f32 = 1.05;

/// Largest dimension: sums of products of two bytes stay within 32 bits.
pub(super) const DIM_MAX: usize = 1 << 15;

/// Items outside the order of norms that are always fine.
const FRESH_MIN: usize = 4 * SLOTS;

/// The index is made anew when one in so many items lies outside the order of norms ...
const FRESH_SHARE: usize = 16;

/// ... or when one in so many changes at once.
const CHANGED_SHARE: usize = 4;

/// Whether the bounds hold for vectors of this norm.
pub(super) fn is_regular(norm: f64) -> bool {
    (NORM_MIN..=NORM_MAX).contains(&norm)
}

/// Finds the rows with the largest inner products, exactly, without looking at all of them.
///
/// Holds the rows that are active, those that may be recommended. They lie in pages of 64, ordered
/// by norm as of LEMP (Teflioudi, Gemulla & Mykytiuk 2015), in coordinates whose first ones say
/// most, as one byte a coordinate. A query takes pages until ‖q‖‖x‖ falls below the k-th best score
/// (Cauchy–Schwarz), in each page the items whose bytes leave them a chance, and of those the exact
/// score. [`ItemIndex::top_k`](crate::topk::index::ItemIndex::top_k) therefore gives what a scan
/// over all rows gives, to the last bit.
///
/// A version is made from the one before by [`ItemIndex::updated`] and shares all pages that did
/// not change. A changed item stays in its place unless its norm has grown; otherwise, and if it is
/// new, it goes to the end, to pages without order. Enough of these, and the index is made anew.
#[derive(Debug, Clone)]
pub struct ItemIndex {
    pub(super) arch: Arch,
    pub(super) kernel: Kernel,
    pub(super) rows: PagedRows,
    pub(super) layout: Layout,
    pub(super) transform: Arc<Transform>,
    pub(super) sorted: imbl::Vector<Arc<Page>>,
    /// No norm in this or a later page of `sorted` is larger. Fixed when the index is made.
    pub(super) reach: Arc<[f32]>,
    pub(super) fresh: imbl::Vector<Arc<Page>>,
    fresh_slots: usize,
    /// Active rows whose norm is too large or too small for bounds.
    pub(super) irregular: imbl::OrdSet<u32>,
    places: imbl::Vector<Place>,
    active: usize,
}

/// Where a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Nowhere,
    Irregular,
    Sorted(u32),
    Fresh(u32),
}

/// What a row's numbers are to the index.
enum Kind {
    Irregular,
    Regular(Coordinates),
}

impl ItemIndex {
    /// Makes the index of the rows that are `active`. O(rows · d²) on the threads of rayon, and
    /// O(d³).
    ///
    /// # Panics
    /// When d is larger than `DIM_MAX`.
    pub fn new(rows: PagedRows, active: impl Fn(u32) -> bool) -> Self {
        Self::with_kernel(rows, active, Kernel::best())
    }

    /// The same with a way of computing that is not the fastest.
    pub fn with_kernel(rows: PagedRows, active: impl Fn(u32) -> bool, kernel: Kernel) -> Self {
        assert!(rows.dim() <= DIM_MAX, "at most {DIM_MAX} dimensions");
        let mut places = vec![Place::Nowhere; rows.rows()];
        let mut ordered = Vec::new();
        for row in (0..rows.rows() as u32).filter(|row| active(*row)) {
            let norm = norm(rows.row(row));
            if norm == 0.0 || is_regular(norm) {
                ordered.push((norm, row));
            } else {
                places[row as usize] = Place::Irregular;
            }
        }
        ordered.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        for (slot, (_, row)) in ordered.iter().enumerate() {
            places[*row as usize] = Place::Sorted(slot as u32);
        }
        let is_ordered = |row: u32| matches!(places[row as usize], Place::Sorted(_));
        let arch = Arch::new();
        let transform = Transform::of(&rows, is_ordered);
        let layout = Layout::of(rows.dim(), &transform);
        let page = |items: &[(f64, u32)]| {
            let items = items
                .iter()
                .map(|(_, row)| Coordinates::of(arch, *row, rows.row(*row), &layout, &transform));
            Arc::new(Page::of(&layout, &items.collect::<Vec<_>>()))
        };
        let sorted: Vec<Arc<Page>> = ordered.par_chunks(SLOTS).map(page).collect();
        let irregular = places.iter().enumerate();
        let irregular = irregular.filter(|(_, place)| **place == Place::Irregular);
        let irregular: imbl::OrdSet<u32> = irregular.map(|(row, _)| row as u32).collect();
        Self {
            arch,
            kernel,
            layout,
            transform: Arc::new(transform),
            reach: sorted.iter().map(|page| page.norm * REACH_SLACK).collect(),
            sorted: sorted.into_iter().collect(),
            fresh: imbl::Vector::new(),
            fresh_slots: 0,
            active: ordered.len() + irregular.len(),
            irregular,
            places: places.into_iter().collect(),
            rows,
        }
    }

    /// The index of `rows`, which differ from those of this index in the `changed` rows alone; each
    /// comes with whether it is active now. O(changed · d²) and a copy of the pages they lie in.
    pub fn updated(&self, rows: PagedRows, changed: &[(u32, bool)]) -> Self {
        let few = changed.len() <= self.active / CHANGED_SHARE + SLOTS;
        let ordered = self.fresh_slots <= FRESH_MIN.max(self.active / FRESH_SHARE);
        let mut next = self.clone();
        next.rows = rows;
        while next.places.len() < next.rows.rows() {
            next.places.push_back(Place::Nowhere);
        }
        if !few || !ordered {
            for (row, active) in changed {
                let place = if *active {
                    Place::Irregular
                } else {
                    Place::Nowhere
                };
                next.places.set(*row as usize, place);
            }
            let active = |row: u32| next.is_active(row);
            return Self::with_kernel(next.rows.clone(), active, self.kernel);
        }
        next.apply(changed);
        next
    }

    /// The rows it was made of.
    pub fn rows(&self) -> &PagedRows {
        &self.rows
    }

    /// Number of active rows.
    pub fn active(&self) -> usize {
        self.active
    }

    /// Whether the row is one of those that can be found.
    pub fn is_active(&self, row: u32) -> bool {
        let place = self.places.get(row as usize);
        place.is_some_and(|place| *place != Place::Nowhere)
    }

    /// Pages of 64 items.
    pub fn pages(&self) -> usize {
        self.sorted.len() + self.fresh.len()
    }

    /// Pages that lie in the same memory as those of another version.
    pub fn pages_shared_with(&self, other: &Self) -> usize {
        let of = |a: &imbl::Vector<Arc<Page>>, b: &imbl::Vector<Arc<Page>>| {
            let pairs = a.iter().zip(b);
            pairs.filter(|(a, b)| Arc::ptr_eq(a, b)).count()
        };
        of(&self.sorted, &other.sorted) + of(&self.fresh, &other.fresh)
    }

    /// First all changed rows leave their slots, so that a page made anew meanwhile holds none of
    /// them; then they are put back.
    fn apply(&mut self, changed: &[(u32, bool)]) {
        let left: Vec<Place> = changed.iter().map(|(row, _)| self.remove(*row)).collect();
        let mut moving = Vec::new();
        for ((row, active), place) in changed.iter().zip(left) {
            // A row that is named twice is put back once.
            if !active || self.is_active(*row) {
                continue;
            }
            self.active += 1;
            match self.kind(*row) {
                Kind::Irregular => {
                    self.irregular.insert(*row);
                    self.places.set(*row as usize, Place::Irregular);
                }
                Kind::Regular(item) if self.stays(&item, place) => self.put(item, place),
                Kind::Regular(item) => moving.push(item),
            }
        }
        // Largest first: a page made for the first fits the others.
        moving.sort_by(|a, b| b.norm.total_cmp(&a.norm));
        for item in moving {
            let place = Place::Fresh(self.fresh_slots as u32);
            self.fresh_slots += 1;
            if self.fresh.len() * SLOTS < self.fresh_slots {
                self.fresh.push_back(Arc::new(Page::of(&self.layout, &[])));
            }
            self.put(item, place);
        }
    }

    fn remove(&mut self, row: u32) -> Place {
        let place = self.places.set(row as usize, Place::Nowhere);
        match place {
            Place::Nowhere => return place,
            Place::Irregular => {
                self.irregular.remove(&row);
            }
            Place::Sorted(slot) => {
                Arc::make_mut(&mut self.sorted[slot as usize / SLOTS]).vacate(slot as usize % SLOTS)
            }
            Place::Fresh(slot) => {
                Arc::make_mut(&mut self.fresh[slot as usize / SLOTS]).vacate(slot as usize % SLOTS);
            }
        }
        self.active -= 1;
        place
    }

    fn kind(&self, row: u32) -> Kind {
        let values = self.rows.row(row);
        let norm = norm(values);
        if norm == 0.0 || is_regular(norm) {
            Kind::Regular(self.coordinates(row))
        } else {
            Kind::Irregular
        }
    }

    fn coordinates(&self, row: u32) -> Coordinates {
        let values = self.rows.row(row);
        Coordinates::of(self.arch, row, values, &self.layout, &self.transform)
    }

    fn stays(&self, item: &Coordinates, place: Place) -> bool {
        match place {
            Place::Sorted(slot) => item.norm <= self.reach[slot as usize / SLOTS],
            Place::Fresh(_) => true,
            Place::Nowhere | Place::Irregular => false,
        }
    }

    /// Puts an item into its slot, which is free.
    fn put(&mut self, item: Coordinates, place: Place) {
        let (pages, slot) = match place {
            Place::Sorted(slot) => (&mut self.sorted, slot as usize),
            Place::Fresh(slot) => (&mut self.fresh, slot as usize),
            Place::Nowhere | Place::Irregular => unreachable!("an item is put into a slot"),
        };
        let (page, slot) = (slot / SLOTS, slot % SLOTS);
        let fits = Arc::make_mut(&mut pages[page]).try_set(&self.layout, slot, &item);
        self.places.set(item.row as usize, place);
        if !fits {
            let held: Vec<(usize, u32)> = match place {
                Place::Sorted(_) => self.sorted[page].items().collect(),
                _ => self.fresh[page].items().collect(),
            };
            let mut items: Vec<(usize, Coordinates)> = held
                .into_iter()
                .map(|(slot, row)| (slot, self.coordinates(row)))
                .collect();
            items.push((slot, item));
            let items = items.iter().map(|(slot, item)| (*slot, item));
            let made = Arc::new(Page::with_slots(&self.layout, items));
            match place {
                Place::Sorted(_) => self.sorted.set(page, made),
                _ => self.fresh.set(page, made),
            };
        }
    }
}
