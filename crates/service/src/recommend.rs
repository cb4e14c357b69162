//! Answers from one snapshot: recommendations, similar items, popularity.

use std::borrow::Cow;
use std::cmp::{Ordering, Reverse};
use std::collections::HashSet;

use crate::arrange::{Arranged, Arrangement, Begun, List, depth};
use crate::because::{Because, Told};
use crate::confinement::{Confinement, union};
use crate::content::{ContentCandidates, Matching, is_content};
use crate::explain::{Explanation, Served};
use crate::person::Person;
use crate::query::{
    BatchQuery, RecommendQuery, Recommendations, ScoredItem, SimilarItems, SimilarQuery, Subject,
};
use crate::ranking::Ranking;
use crate::selection::{Selected, Selection};
use crate::snapshot::{ServedModel, Snapshot};
use crate::source::Source;
use recant_core::model::Entry;
use recant_core::optim::fold_in;
use recant_core::topk::{Bitmap, Filter, Question, RowSet, Ties, scan};
use recant_types::{ItemId, UserId};

/// With fewer allowed items than one in so many, these are counted instead of all walked through.
const FEW_ALLOWED_SHARE: usize = 16;

impl Snapshot {
    /// Answers `query` exactly. `matching` is what its filter leaves. Of a user's history
    /// an explanation names those items alone that are in `nameable`, where that is given. Cost: what
    /// [`ItemIndex::top_k`] looks at, and for a session history of length h one system of
    /// h·d² + d³/3 more.
    ///
    /// [`ItemIndex::top_k`]: recant_core::topk::ItemIndex::top_k
    pub fn recommend(
        &self,
        query: &RecommendQuery,
        matching: Option<&Matching>,
        nameable: Option<&HashSet<ItemId>>,
    ) -> Recommendations {
        let rows = matching.map(|matching| &matching.rows);
        let confinement = self.confine(&query.selection, rows);
        let person = self.resolve(&query.subject);
        let seen: &[u32] = if query.exclude_seen {
            &person.seen
        } else {
            &[]
        };
        let excluded = confinement.excluded_with(seen);
        let asked = Asked {
            person: &person,
            confinement: &confinement,
            excluded: &excluded,
            arrangement: &query.arrangement,
            end: query.offset + query.k,
            offset: query.offset,
        };
        let named = match &query.subject {
            Subject::History(items) if query.exclude_seen => items.as_slice(),
            Subject::History(_) | Subject::User(_) => &[],
        };
        let content = self.content_candidates(&query.selection, matching, named);
        let (arranged, list) = self.list_of(&asked, content.as_ref());
        let mut explanation = None;
        if query.explain {
            // What is proven is proven of the rows of the model.
            let of_the_model = content.as_ref().map(|_| self.list_of(&asked, None));
            let (arranged, list) = of_the_model
                .as_ref()
                .map_or((&arranged, &list), |(arranged, list)| (arranged, list));
            explanation = Some(self.explanation(&asked, arranged, list));
        }
        let because = match &person.factors {
            Some(_) if query.explain => {
                let told = Told {
                    history: &person.history,
                    nameable,
                    count_max: query.because,
                };
                let own = |(row, score): &(u32, f32)| {
                    let boost = arranged.boost(*row).unwrap_or(0.0);
                    (*row, f64::from(*score) - boost)
                };
                let of_the_model = list.page.iter().filter(|(row, _)| !is_content(*row));
                self.because(&told, &of_the_model.map(own).collect::<Vec<_>>())
            }
            _ => Vec::new(),
        };
        Recommendations {
            model_version: self.version,
            source: person.source,
            items: self.name(list.page, &arranged, because),
            explanation,
        }
    }

    /// The list that a question asks for: of the rows of the model, and of `content`.
    fn list_of(
        &self,
        asked: &Asked<'_>,
        content: Option<&ContentCandidates<'_>>,
    ) -> (Arranged, List) {
        let arranged = self.arranged(asked.arrangement, content);
        let (person, confinement) = (asked.person, asked.confinement);
        let begun = self.begin(
            person,
            confinement,
            &arranged,
            asked.excluded,
            asked.end,
            content,
        );
        let filter = self.filter(confinement, &begun.set_aside);
        let rest = self.best(person, begun.depth, &filter);
        let list = self.complete(begun, &arranged, rest, asked.offset);
        (arranged, list)
    }

    /// What is proven of `list`, which is of rows of the model alone.
    fn explanation(&self, asked: &Asked<'_>, arranged: &Arranged, list: &List) -> Explanation {
        let person = asked.person;
        let served = Served {
            source: person.source,
            factors: person.factors.as_deref(),
            list,
            arranged,
        };
        let besides = union(asked.excluded, &list.pins);
        let filter = self.filter(asked.confinement, &besides);
        let is_counted = |row| match person.source {
            Source::Popular => self.popular.count(row) > 0,
            Source::Model | Source::FoldIn => self.item_count(row) > 0,
        };
        self.explain(&served, |row| is_counted(row) && filter.admits(row))
    }

    /// Content rows that may be in the answer to a question that leaves out the items in `seen`; `None` when there
    /// are no content rows.
    fn content_candidates<'a>(
        &'a self,
        selection: &'a Selection,
        matching: Option<&'a Matching>,
        seen: &[ItemId],
    ) -> Option<ContentCandidates<'a>> {
        Some(ContentCandidates {
            rows: self.content.as_ref()?,
            catalogue: &self.catalogue,
            selected: Selected::new(selection, seen.iter().cloned()),
            matching: matching.and_then(|matching| matching.content.as_ref()),
        })
    }

    /// The factors at a row of a list.
    pub(crate) fn factors_at(&self, row: u32) -> &[f32] {
        match &self.content {
            Some(content) if is_content(row) => content.factors(row),
            _ => self.item_factors.row(row),
        }
    }

    /// The order in which rows with equal scores come in lists: that of the bytes of their ids, which is the
    /// same on every node.
    pub(crate) fn by_item(&self, a: u32, b: u32) -> Ordering {
        self.item_at(a).cmp(&self.item_at(b))
    }

    /// The item at a row of a list.
    fn item_at(&self, row: u32) -> Option<&ItemId> {
        match &self.content {
            Some(content) if is_content(row) => content.id(row),
            _ => self.items.id(row),
        }
    }

    /// Answers `query` for some of its users, each as [`Snapshot::recommend`] would, in one walk
    /// through the items.
    pub(crate) fn recommend_each(
        &self,
        users: &[UserId],
        query: &BatchQuery,
        matching: Option<&Matching>,
    ) -> Vec<Recommendations> {
        let rows = matching.map(|matching| &matching.rows);
        let confinement = self.confine(&query.selection, rows);
        let content = self.content_candidates(&query.selection, matching, &[]);
        let content = content.as_ref();
        let persons: Vec<Person> = users.iter().map(|user| self.resolve_user(user)).collect();
        let excluded: Vec<Vec<u32>> = persons
            .iter()
            .map(|person| {
                if query.exclude_seen {
                    confinement.excluded_with(&person.seen)
                } else {
                    confinement.excluded.clone()
                }
            })
            .collect();
        let arranged = self.arranged(&query.arrangement, content);
        let end = query.offset + query.k;
        let begun: Vec<Begun> = persons
            .iter()
            .zip(&excluded)
            .map(|(person, excluded)| {
                self.begin(person, &confinement, &arranged, excluded, end, content)
            })
            .collect();
        let mut found = self
            .best_of_each(&persons, &begun, &confinement)
            .into_iter();
        let answers = persons.iter().zip(begun).map(|(person, begun)| {
            let rest = match person.factors {
                Some(_) => found.next().unwrap_or_default(),
                None => {
                    let filter = self.filter(&confinement, &begun.set_aside);
                    self.most_popular(begun.depth, &filter)
                }
            };
            let list = self.complete(begun, &arranged, rest, query.offset);
            Recommendations {
                model_version: self.version,
                source: person.source,
                items: self.name(list.page, &arranged, Vec::new()),
                explanation: None,
            }
        });
        answers.collect()
    }

    /// The best rows of those persons that the model knows something of.
    fn best_of_each(
        &self,
        persons: &[Person<'_>],
        begun: &[Begun],
        confinement: &Confinement,
    ) -> Vec<Vec<(u32, f32)>> {
        let by_item = |a, b| self.by_item(a, b);
        let known = persons.iter().zip(begun).filter_map(|(person, begun)| {
            Some(Question {
                query: person.factors.as_deref()?,
                k: begun.depth,
                filter: self.filter(confinement, &begun.set_aside),
                ties: Ties::by(&by_item),
            })
        });
        let questions: Vec<Question> = known.collect();
        if self.scoring_network().is_none() {
            return self.item_index.top_k_batch(&questions);
        }
        let answers = questions
            .iter()
            .map(|q| self.top_k(q.query, q.k, &q.filter));
        answers.collect()
    }

    /// The best rows for a person, by the model or by counts, exactly.
    pub(crate) fn best(&self, person: &Person<'_>, k: usize, filter: &Filter) -> Vec<(u32, f32)> {
        match &person.factors {
            Some(factors) => self.top_k(factors, k, filter),
            None => self.most_popular(k, filter),
        }
    }

    pub(crate) fn filter<'a>(
        &'a self,
        confinement: &'a Confinement,
        excluded: &'a [u32],
    ) -> Filter<'a> {
        Filter {
            excluded,
            allowed: confinement.allowed.as_ref(),
            hidden: Some(self.catalogue.hidden()),
        }
    }

    /// The best rows for a user's factors, exactly.
    fn top_k(&self, factors: &[f32], k: usize, filter: &Filter) -> Vec<(u32, f32)> {
        let by_item = |a, b| self.by_item(a, b);
        let ties = Ties::by(&by_item);
        match self.scoring_network() {
            Some(network) => {
                let is_active = |row| self.item_count(row) > 0;
                network.top_k(factors, &self.item_factors, k, filter, is_active, ties)
            }
            None => self.item_index.answer(&Question {
                query: factors,
                k,
                filter: *filter,
                ties,
            }),
        }
    }

    /// What `selection` says about items, as rows. Cost: a word for 64 rows of the catalogue and each
    /// tag that is named, and what else it names.
    pub(crate) fn confine(&self, selection: &Selection, matching: Option<&Bitmap>) -> Confinement {
        let mut kept = self.kept_by_tags(selection);
        if let Some(matching) = matching {
            match &mut kept {
                Some(kept) => matching.keep_in(kept),
                None => matching.add_to(kept.insert(self.no_rows())),
            }
        }
        let allowed = match (&selection.allow, kept) {
            (None, kept) => kept.map(RowSet::from_words),
            (Some(allow), None) => Some(RowSet::new(self.known_rows(allow))),
            (Some(allow), Some(kept)) => {
                let kept = RowSet::from_words(kept);
                let rows = self.known_rows(allow).into_iter();
                Some(rows.filter(|row| kept.contains(*row)).collect())
            }
        };
        Confinement {
            excluded: self.known_rows(&selection.exclude),
            allowed,
        }
    }

    /// The rows that the tags of `selection` leave, one bit each; `None` when no tag is named.
    fn kept_by_tags(&self, selection: &Selection) -> Option<Vec<u64>> {
        let mut kept = None;
        if !selection.tags.is_empty() {
            let words = kept.insert(self.no_rows());
            let tags = selection.tags.iter();
            let tagged = tags.filter_map(|tag| self.catalogue.tagged(tag));
            tagged.for_each(|tagged| tagged.add_to(words));
        }
        let all = || vec![u64::MAX; self.no_rows().len()];
        for tag in &selection.tags_all {
            let words = kept.get_or_insert_with(all);
            match self.catalogue.tagged(tag) {
                Some(tagged) => tagged.keep_in(words),
                None => words.fill(0),
            }
        }
        for tag in &selection.tags_none {
            let words = kept.get_or_insert_with(all);
            if let Some(tagged) = self.catalogue.tagged(tag) {
                tagged.take_from(words);
            }
        }
        kept
    }

    /// A bit for every row, none set.
    fn no_rows(&self) -> Vec<u64> {
        vec![0; self.items.capacity().div_ceil(u64::BITS as usize)]
    }

    fn resolve(&self, subject: &Subject) -> Person<'_> {
        match subject {
            Subject::User(user) => self.resolve_user(user),
            Subject::History(items) => {
                let rows = self.known_rows(items);
                let history: Vec<Entry> = rows.iter().map(|row| Entry::wanted(*row, 1.0)).collect();
                match self.fold_in(&history) {
                    Some(factors) => Person::folded_in(rows, history.into(), factors),
                    None => Person::stranger(rows),
                }
            }
        }
    }

    /// The rows of the items that a user has, ascending: of those of which only what does not count
    /// as seen is known, none.
    fn seen(&self, user: u32) -> Vec<u32> {
        let history = self.history(user).iter().map(|entry| entry.index);
        match self.unseen.get(&user) {
            Some(unseen) => history
                .filter(|row| unseen.binary_search(row).is_err())
                .collect(),
            None => history.collect(),
        }
    }

    /// The rows of the items that a user has, ascending; none of nobody, and of one who is unknown.
    pub(crate) fn seen_rows(&self, user: Option<&UserId>) -> Vec<u32> {
        let row = user.and_then(|user| self.users.row(user));
        row.map_or_else(Vec::new, |row| self.seen(row))
    }

    /// The items that a user has.
    pub(crate) fn seen_by(&self, user: &UserId) -> Vec<ItemId> {
        let seen = self.seen_rows(Some(user));
        let ids = seen.into_iter().filter_map(|row| self.items.id(row));
        ids.cloned().collect()
    }

    /// A known user has factors; only while their first interactions are still being learnt these
    /// are zero, and are solved for here.
    fn resolve_user(&self, user: &UserId) -> Person<'_> {
        let Some(row) = self.users.row(user) else {
            return Person::stranger(Vec::new());
        };
        let (history, seen) = (self.history(row), self.seen(row));
        let stored = self.user_factors.row(row);
        if stored.iter().all(|value| *value == 0.0) {
            return match self.fold_in(history) {
                Some(factors) => Person::folded_in(seen, history.into(), factors),
                None => Person::stranger(seen),
            };
        }
        Person {
            source: Source::Model,
            seen,
            history: history.into(),
            factors: Some(Cow::Borrowed(stored)),
        }
    }

    /// Factors for a history; `None` when the model knows none of it.
    fn fold_in(&self, history: &[Entry]) -> Option<Vec<f32>> {
        let known = self.known_entries(history);
        if known.is_empty() {
            return None;
        }
        Some(match &self.model {
            ServedModel::Ials {
                hyperparameters,
                item_gramian,
            } => fold_in(
                hyperparameters,
                &known,
                &self.item_factors,
                item_gramian,
                self.active_items,
            ),
            ServedModel::Neural(network) => {
                let wanted = known.iter().filter(|entry| entry.is_wanted());
                let mut rows: Vec<u32> = wanted.map(|entry| entry.index).collect();
                if rows.is_empty() {
                    return None;
                }
                rows.sort_unstable();
                let is_active = |row| self.item_count(row) > 0;
                network.fold_in(&rows, &self.item_factors, is_active)
            }
        })
    }

    fn known_rows(&self, items: &[ItemId]) -> Vec<u32> {
        let mut rows: Vec<u32> = items
            .iter()
            .filter_map(|item| self.items.row(item))
            .collect();
        rows.sort_unstable();
        rows.dedup();
        rows
    }

    /// The items that most people wanted, of those that `filter` leaves; ties in the order of ids.
    fn most_popular(&self, k: usize, filter: &Filter) -> Vec<(u32, f32)> {
        let best = self.first_ranked(&self.popular, k, filter).into_iter();
        best.map(|(row, count)| (row, count as f32)).collect()
    }

    /// The first `k` of a ranking that `filter` leaves. Cost: where few items may be in the list these,
    /// else what comes before the last one found.
    pub(crate) fn first_ranked<S: Ord + Copy>(
        &self,
        ranking: &Ranking<S>,
        k: usize,
        filter: &Filter,
    ) -> Vec<(u32, S)> {
        let hidden = self.catalogue.hidden();
        let left = |row: u32| filter.excluded.binary_search(&row).is_err() && !hidden.contains(row);
        match filter.allowed {
            Some(few) if few.len() <= self.active_items / FEW_ALLOWED_SHARE => {
                let rows = few.rows().iter().filter(|row| left(**row));
                let scored = rows.filter_map(|row| Some((ranking.place(*row)?, *row)));
                let mut scored: Vec<((S, &ItemId), u32)> = scored.collect();
                scored.sort_unstable_by_key(|((score, item), row)| (Reverse(*score), *item, *row));
                let best = scored.into_iter().take(k);
                best.map(|((score, _), row)| (row, score)).collect()
            }
            allowed => {
                let may = |row: u32| allowed.is_none_or(|allowed| allowed.contains(row));
                let ranked = ranking.iter();
                let ranked = ranked.filter(|(row, _)| left(*row) && may(*row));
                ranked.take(k).collect()
            }
        }
    }

    /// The items most similar to that of `query` by the cosine of their factors, ordered anew where it asks
    /// for diversity; `None` when it is unknown. `matching` are the rows of which its filter is true.
    pub fn similar(&self, query: &SimilarQuery, matching: Option<&Bitmap>) -> Option<SimilarItems> {
        let row = self.items.row(&query.item)?;
        let confinement = self.confine(&query.selection, matching);
        let seen = self.seen_rows(query.user.as_ref());
        let excluded = confinement.excluded_with(&[&[row][..], &seen].concat());
        let filter = self.filter(&confinement, &excluded);
        let eligible = |candidate| self.item_count(candidate) > 0 && filter.admits(candidate);
        let end = query.offset + query.k;
        let by_item = |a, b| self.by_item(a, b);
        let best = scan::top_k_cosine(
            self.item_factors.row(row),
            &self.item_factors,
            depth(end, query.diversity),
            &[],
            eligible,
            Ties::by(&by_item),
        );
        let mut page = self.diverse(best, &[], query.diversity, end);
        turn_to_page(&mut page, query.offset);
        Some(SimilarItems {
            model_version: self.version,
            items: self.name(page, &Arranged::default(), Vec::new()),
        })
    }

    /// The items of a list; `because` is of each that is of the model, or empty.
    fn name(
        &self,
        best: Vec<(u32, f32)>,
        arranged: &Arranged,
        because: Vec<Because>,
    ) -> Vec<ScoredItem> {
        let mut because = because.into_iter();
        let named = best.into_iter().filter_map(|(row, score)| {
            let is_content = is_content(row);
            let because = if is_content { None } else { because.next() };
            let item = self.item_at(row)?.clone();
            let title = if is_content {
                self.catalogue.untouched(&item)?.title.clone()
            } else {
                self.catalogue.title(row)
            };
            Some(ScoredItem {
                item,
                score,
                boost: arranged.boost(row),
                is_pinned: arranged.is_pinned(row),
                is_content,
                title,
                because,
            })
        });
        named.collect()
    }
}

/// A question to one version, as rows.
struct Asked<'a> {
    person: &'a Person<'a>,
    confinement: &'a Confinement,
    /// Rows of the model that may not be in the list, sorted.
    excluded: &'a [u32],
    arrangement: &'a Arrangement,
    /// Where the page ends.
    end: usize,
    /// Where it begins.
    offset: usize,
}

/// Leaves out what comes before a page.
fn turn_to_page(best: &mut Vec<(u32, f32)>, offset: usize) {
    best.drain(..offset.min(best.len()));
}
