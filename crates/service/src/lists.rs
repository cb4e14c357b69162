//! Lists for nobody in particular: what is popular, what is on the rise, what is new.

use std::sync::Arc;
use std::time::Duration;

use crate::activity::hour_of;
use crate::confinement::union;
use crate::patience::Patience;
use crate::query::ServiceError;
use crate::ranking::Ranking;
use crate::rankings::{Measure, Score};
use crate::selection::{Selected, Selection};
use crate::service::{FILTER_PATIENCE, Service};
use crate::snapshot::Snapshot;
use recant_core::topk::Bitmap;
use recant_types::{ItemId, UnixMillis, UserId};

/// In how long an event comes to half as much, when the caller does not say.
pub const HALF_LIFE_DEFAULT: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// Shortest window and half-life: events are counted by the hour.
pub const SPAN_MIN: Duration = Duration::from_secs(60 * 60);

/// Longest window and half-life, ten years.
pub const SPAN_MAX: Duration = Duration::from_secs(3_650 * 24 * 60 * 60);

/// What orders a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListKind {
    /// The number of people who wanted the item.
    Popular,
    /// The same, where what a person did comes to half as much with each half-life that it is ago.
    Trending {
        /// From [`SPAN_MIN`] to [`SPAN_MAX`].
        half_life: Duration,
    },
    /// When the item appeared, as its description says; nobody need have touched it.
    Latest,
}

/// A question for a list, already checked against the limits.
#[derive(Debug, Clone)]
pub struct ListQuery {
    /// Which.
    pub kind: ListKind,
    /// Count only what happened, or list only what appeared, in this time up to now, from [`SPAN_MIN`]
    /// to [`SPAN_MAX`]; events to the hour.
    pub window: Option<Duration>,
    /// How many, 1 to [`crate::K_MAX`].
    pub k: usize,
    /// How many of the first to leave out, up to [`crate::OFFSET_MAX`].
    pub offset: usize,
    /// Leave out what this user has.
    pub user: Option<UserId>,
    /// Which items may be in the list.
    pub selection: Selection,
}

/// An item of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedItem {
    /// Which.
    pub item: ItemId,
    /// People, people less those that are long ago, or seconds since 1970, by the kind of list.
    pub score: f64,
    /// Its title, when one is known.
    pub title: Option<Arc<str>>,
}

/// The answer to a [`ListQuery`]; every part of it comes from one version.
#[derive(Debug, Clone, PartialEq)]
pub struct List {
    /// The version that answered.
    pub model_version: u64,
    /// The first in order first; ties in the order of the bytes of ids.
    pub items: Vec<ListedItem>,
}

impl Service {
    /// A list for nobody in particular, of the live version. Cost: of an order that was asked for
    /// lately what comes before the last item found, of another a look at what everybody did.
    pub async fn list(&self, query: ListQuery) -> Result<List, ServiceError> {
        let _answering = self.0.foreground.answering();
        let snapshot = self.0.publisher.current();
        let now = UnixMillis::now();
        let half_life = match query.kind {
            ListKind::Latest => return self.latest(snapshot, query, now).await,
            ListKind::Popular => None,
            ListKind::Trending { half_life } => Some(half_life),
        };
        let matching = self.matching(&snapshot, &query.selection).await?;
        if query.window.is_none() && half_life.is_none() {
            let count = |count: u32| f64::from(count);
            return Ok(snapshot.listed(&query, matching.as_ref(), &snapshot.popular, count));
        }
        let since = query.window.map(|window| hour_of(before(now, window)));
        let measure = Measure::new(since, half_life);
        let ranking = self.ranking(&snapshot, measure).await?;
        let shown = |score: Score| measure.shown(score, now);
        Ok(snapshot.listed(&query, matching.as_ref(), &ranking, shown))
    }

    /// The order of items by `measure` in a version: at hand when it was asked for lately, else made
    /// once, by one question at a time, and kept.
    async fn ranking(
        &self,
        snapshot: &Arc<Snapshot>,
        measure: Measure,
    ) -> Result<Ranking<Score>, ServiceError> {
        let rankings = self.0.publisher.rankings();
        if let Some(ranking) = rankings.find(measure, &snapshot.hours, &snapshot.items) {
            return Ok(ranking);
        }
        let one = Arc::clone(&self.0.filtering).acquire_owned().await;
        let one = one.map_err(|_| ServiceError::ShuttingDown)?;
        let (publisher, snapshot) = (Arc::clone(&self.0.publisher), Arc::clone(snapshot));
        self.blocking(move || {
            let _one = one;
            let (hours, items) = (&snapshot.hours, &snapshot.items);
            // Somebody else may have made it meanwhile.
            publisher
                .rankings()
                .find(measure, hours, items)
                .unwrap_or_else(|| {
                    let ranking = measure.rank(hours, items);
                    publisher.rankings().keep(measure, hours, ranking.clone());
                    // A version may have come meanwhile, and no other soon.
                    let live = publisher.current();
                    publisher.rankings().follow(&live.hours, &live.items);
                    ranking
                })
        })
        .await
    }

    /// What is new. A filter is asked of one item after the other, for one that nobody has touched is
    /// in no set of rows.
    async fn latest(
        &self,
        snapshot: Arc<Snapshot>,
        query: ListQuery,
        now: UnixMillis,
    ) -> Result<List, ServiceError> {
        let list = if query.selection.is_open() {
            snapshot.latest(&query, now)
        } else {
            self.blocking(move || snapshot.latest(&query, now)).await?
        };
        list.ok_or(ServiceError::FilterTooCostly)
    }
}

impl Snapshot {
    /// A page of a ranking. `matching` are the rows of which the filter is true.
    fn listed<S: Ord + Copy>(
        &self,
        query: &ListQuery,
        matching: Option<&Bitmap>,
        ranking: &Ranking<S>,
        shown: impl Fn(S) -> f64,
    ) -> List {
        let confinement = self.confine(&query.selection, matching);
        let seen = self.seen_rows(query.user.as_ref());
        let excluded = union(&confinement.excluded, &seen);
        let filter = self.filter(&confinement, &excluded);
        let ranked = self.first_ranked(ranking, query.offset + query.k, &filter);
        let page = ranked.into_iter().skip(query.offset);
        let items = page.filter_map(|(row, score)| {
            Some(ListedItem {
                item: self.items.id(row)?.clone(),
                score: shown(score),
                title: self.catalogue.title(row),
            })
        });
        List {
            model_version: self.version,
            items: items.collect(),
        }
    }

    /// A page of the latest items; `None` when finding those that the question leaves takes too long.
    fn latest(&self, query: &ListQuery, now: UnixMillis) -> Option<List> {
        let seen = query.user.as_ref().map(|user| self.seen_by(user));
        let selection = Selected::new(&query.selection, seen.into_iter().flatten());
        let from = query.window.map(|window| before(now, window));
        let appeared = self.catalogue.appeared_before(now);
        let appeared = appeared.take_while(|(at, _)| from.is_none_or(|from| *at >= from));
        let patience = Patience::new(FILTER_PATIENCE);
        let (mut items, mut left_out) = (Vec::new(), 0);
        for (number, (at, said)) in appeared.enumerate() {
            if patience.is_over(number) {
                return None;
            }
            if !selection.admits(said) {
                continue;
            }
            if left_out < query.offset {
                left_out += 1;
                continue;
            }
            items.push(ListedItem {
                item: said.id.clone(),
                score: at.0 as f64 / 1e3,
                title: said.title.clone(),
            });
            if items.len() == query.k {
                break;
            }
        }
        Some(List {
            model_version: self.version,
            items,
        })
    }
}

/// The moment so long before another.
fn before(now: UnixMillis, span: Duration) -> UnixMillis {
    let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    UnixMillis(now.0.saturating_sub(span))
}
