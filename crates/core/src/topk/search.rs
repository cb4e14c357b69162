//! Answers from an index: one query, or many that share the passes over the items.

use crate::topk::best::Best;
use crate::topk::bitmap::Bitmap;
use crate::topk::filter::{Excluded, Filter, RowSet};
use crate::topk::index::{ItemIndex, is_regular};
use crate::topk::kernel::{SLOTS, Sums};
use crate::topk::page::{Page, norm};
use crate::topk::probe::Probe;
use crate::topk::score::score;
use crate::topk::ties::Ties;

/// Allowed rows that are always scored one by one ...
const DIRECT_ROWS_MIN: usize = 256;

/// ... and the share of all from which on walking through the pages is cheaper.
const DIRECT_SHARE: usize = 16;

/// Pages that the queries of a batch visit in turn while they are in the cache.
const BATCH_PAGES: usize = 8;

/// A query: the k best rows by inner product with `query`, of those that `filter` leaves.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// What the rows are multiplied by, d values.
    pub query: &'a [f32],
    /// How many rows.
    pub k: usize,
    /// Which rows an answer may have.
    pub filter: Filter<'a>,
    /// Which of equal ones come first.
    pub ties: Ties<'a>,
}

/// What a query cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Pages whose first coordinates were looked at.
    pub pages: usize,
    /// Pages of which the rest was looked at too.
    pub second_passes: usize,
    /// Rows scored in f32.
    pub scored: usize,
    /// Bytes of codes and factors read for that.
    pub bytes: usize,
}

impl ItemIndex {
    /// The `k` active rows with the largest inner product with `query`, best first, of those that
    /// `filter` leaves; of equal scores the lower row comes first.
    ///
    /// Exact: the list and the scores, to the bit, are those of
    /// [`scan::top_k`](crate::topk::scan::top_k). Cost: d² for the query, the codes of the pages
    /// that the bounds leave, and d for each row that its codes leave; at worst all.
    ///
    /// # Panics
    /// When `query` does not have d values.
    pub fn top_k(&self, query: &[f32], k: usize, filter: &Filter) -> Vec<(u32, f32)> {
        self.top_k_counted(query, k, filter).0
    }

    /// The same, and what it cost.
    pub fn top_k_counted(
        &self,
        query: &[f32],
        k: usize,
        filter: &Filter,
    ) -> (Vec<(u32, f32)>, Work) {
        self.answer_counted(&Question {
            query,
            k,
            filter: *filter,
            ties: Ties::BY_ROW,
        })
    }

    /// The answer to a question: as [`ItemIndex::top_k`], with its ties.
    ///
    /// # Panics
    /// When the query does not have d values.
    pub fn answer(&self, question: &Question) -> Vec<(u32, f32)> {
        self.answer_counted(question).0
    }

    fn answer_counted(&self, question: &Question) -> (Vec<(u32, f32)>, Work) {
        let mut search = Search::new(self, question);
        if !search.is_done {
            for (at, page) in self.sorted.iter().enumerate() {
                if search.is_beyond(self.reach[at]) {
                    break;
                }
                search.visit(page);
            }
            self.fresh.iter().for_each(|page| search.visit(page));
        }
        search.finish()
    }

    /// The answers to many questions: a block of pages serves all of them before the next one is
    /// read, so that codes come from memory once for the whole batch.
    ///
    /// # Panics
    /// When a query does not have d values.
    pub fn top_k_batch(&self, questions: &[Question]) -> Vec<Vec<(u32, f32)>> {
        let mut searches: Vec<Search> = questions.iter().map(|q| Search::new(self, q)).collect();
        let mut block = Vec::with_capacity(BATCH_PAGES);
        for first in (0..self.sorted.len()).step_by(BATCH_PAGES) {
            let last = self.sorted.len().min(first + BATCH_PAGES);
            block.clear();
            block.extend(self.sorted.focus().narrow(first..last).into_iter().cloned());
            let mut all_beyond = true;
            for search in searches.iter_mut().filter(|search| !search.is_done) {
                for (at, page) in block.iter().enumerate() {
                    if search.is_beyond(self.reach[first + at]) {
                        break;
                    }
                    all_beyond = false;
                    search.visit(page);
                }
            }
            if all_beyond {
                break;
            }
        }
        for page in &self.fresh {
            let open = searches.iter_mut().filter(|search| !search.is_done);
            open.for_each(|search| search.visit(page));
        }
        searches
            .into_iter()
            .map(|search| search.finish().0)
            .collect()
    }
}

/// One query under way.
struct Search<'a> {
    index: &'a ItemIndex,
    query: &'a [f32],
    probe: Option<Probe>,
    excluded: Excluded<'a>,
    allowed: Option<&'a RowSet>,
    hidden: Option<&'a Bitmap>,
    best: Best<'a>,
    is_done: bool,
    work: Work,
}

impl<'a> Search<'a> {
    /// Answers at once what needs no pages.
    fn new(index: &'a ItemIndex, question: &Question<'a>) -> Self {
        let Question {
            query,
            k,
            filter,
            ties,
        } = *question;
        assert_eq!(
            query.len(),
            index.rows.dim(),
            "query and rows must have the same dimension"
        );
        let mut search = Self {
            index,
            query,
            probe: None,
            excluded: Excluded::new(filter.excluded),
            allowed: filter.allowed,
            hidden: filter.hidden.filter(|hidden| !hidden.is_empty()),
            best: Best::new(k, index.active(), ties),
            is_done: k == 0,
            work: Work::default(),
        };
        let direct = DIRECT_ROWS_MIN.max(index.active() / DIRECT_SHARE);
        let few = filter.allowed.filter(|allowed| allowed.len() <= direct);
        let norm = norm(query);
        if search.is_done {
        } else if let Some(few) = few {
            search.score_each(few.rows().iter().copied());
            search.is_done = true;
        } else if !is_regular(norm) {
            search.score_each(0..index.rows.rows() as u32);
            search.is_done = true;
        } else {
            let (layout, transform) = (&index.layout, &index.transform);
            search.probe = Some(Probe::of(index.arch, query, norm, layout, transform));
            search.score_each(index.irregular.iter().copied());
        }
        search
    }

    fn finish(self) -> (Vec<(u32, f32)>, Work) {
        (self.best.into_sorted(), self.work)
    }

    fn score_each(&mut self, rows: impl Iterator<Item = u32>) {
        for row in rows {
            if self.index.is_active(row) && self.may_hold(row) {
                self.score(row);
            }
        }
    }

    #[inline]
    fn may_hold(&self, row: u32) -> bool {
        !self.excluded.contains(row)
            && self.allowed.is_none_or(|allowed| allowed.contains(row))
            && self.hidden.is_none_or(|hidden| !hidden.contains(row))
    }

    #[inline]
    fn score(&mut self, row: u32) {
        let values = self.index.rows.row(row);
        let score = score(self.index.arch, self.query, values);
        self.best.offer(row, score);
        self.work.scored += 1;
        self.work.bytes += size_of_val(values);
    }

    /// Whether no item of this norm or less can be among the best.
    #[inline]
    fn is_beyond(&self, item_norm: f32) -> bool {
        let bound = self
            .probe
            .as_ref()
            .map(|probe| probe.norm_bound * f64::from(item_norm));
        match (bound, self.best.threshold()) {
            (Some(bound), Some(threshold)) => bound < f64::from(threshold),
            _ => false,
        }
    }

    fn visit(&mut self, page: &Page) {
        if self.is_beyond(page.norm) {
            return;
        }
        let mut left = self.survivors(page);
        while left != 0 {
            let row = page.rows[left.trailing_zeros() as usize];
            left &= left - 1;
            if self.may_hold(row) {
                self.score(row);
            }
        }
    }

    /// The slots whose items may be among the best, as bits.
    #[inline]
    fn survivors(&mut self, page: &Page) -> u64 {
        let Some(probe) = &self.probe else {
            return 0;
        };
        let threshold = self.best.threshold();
        let kernel = self.index.kernel;
        let at_least = |of: &dyn Fn(f32) -> i32| threshold.map_or(i32::MIN, of);
        let layout = &self.index.layout;
        let head = &page.codes[layout.first_pass()];
        let mut sums: Sums = [0; SLOTS];
        self.work.pages += 1;
        self.work.bytes += size_of_val(head);
        let first = at_least(&|score| probe.first_threshold(page, score));
        let left = page.occupied & kernel.add(head, probe.first_words(), &mut sums, first);
        if left == 0 || probe.second_words().is_empty() || threshold.is_none() {
            return left;
        }
        let rest = &page.codes[layout.second_pass()];
        self.work.second_passes += 1;
        self.work.bytes += size_of_val(rest);
        let second = at_least(&|score| probe.second_threshold(page, score));
        left & kernel.add(rest, probe.second_words(), &mut sums, second)
    }
}
