//! `POST /api/item`, and `GET` and `PATCH /api/item/{item}`.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answers::{Affected, affected};
use super::chunks::{Properties, TooLong, is_reserved};
use super::ids::item_id;
use super::json::Body;
use super::refusal::{Refusal, of_item};
use super::shared::Shared;
use super::{categories, labels, times};
use crate::config::InteractionSettings;
use crate::http::scalar::{Scalar, id};
use crate::http::state::AppState;
use recant_types::{DescriptionPatch, ItemDescription, ItemId, TimeRule, new_id};

/// An item as a body has it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
pub(super) struct ItemRow {
    item_id: Scalar,
    is_hidden: Option<bool>,
    categories: Option<Vec<String>>,
    timestamp: Scalar,
    labels: Value,
    comment: Option<String>,
}

impl ItemRow {
    /// What it says.
    pub(super) fn check(self, keep_null_ids: bool) -> Result<ItemDescription, String> {
        let id = id("ItemId", self.item_id, |text| {
            ItemId::new(new_id(text, keep_null_ids)?)
        })?;
        let mut item = ItemDescription::of(id);
        let names = self.categories.unwrap_or_default();
        item.set_tags(categories::tags(&names));
        let kept = categories::keep_order(&names, &mut item.properties);
        kept.and_then(|()| labels::put(&self.labels, &mut item.properties))
            .map_err(|long| long.to_string())?;
        item.title = title(self.comment.unwrap_or_default());
        item.timestamp = time(self.timestamp)?;
        item.hidden = self.is_hidden.unwrap_or_default();
        item.check().map_err(|reason| reason.to_string())?;
        Ok(item)
    }
}

/// What is to be changed; what is absent or null stays.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
pub(super) struct ItemPatch {
    is_hidden: Option<bool>,
    categories: Option<Vec<String>>,
    timestamp: Scalar,
    labels: Option<Value>,
    comment: Option<String>,
}

impl ItemPatch {
    /// The changes of an item of which `before` is said.
    pub(super) fn check(self, before: &ItemDescription) -> Result<DescriptionPatch, String> {
        let mut patch = DescriptionPatch {
            title: self.comment.map(title),
            timestamp: time(self.timestamp)?.map(Some),
            hidden: self.is_hidden,
            ..DescriptionPatch::default()
        };
        let mut said = Properties::new();
        let mut put = || -> Result<(), TooLong> {
            if let Some(given) = &self.labels {
                let own = before.properties.keys();
                let own = own.filter(|name| !is_reserved(name)).cloned();
                let all = own.chain(super::chunks::names(labels::LABELS));
                patch.properties.extend(all.map(|name| (name, None)));
                labels::put(given, &mut said)?;
            }
            if let Some(given) = &self.categories {
                patch.tags = Some(categories::tags(given));
                let order = categories::names().map(|name| (name, None));
                patch.properties.extend(order);
                categories::keep_order(given, &mut said)?;
            }
            Ok(())
        };
        put().map_err(|long| long.to_string())?;
        let said = said.into_iter().map(|(name, value)| (name, Some(value)));
        patch.properties.extend(said);
        Ok(patch)
    }
}

/// A comment as a title; an empty one is none.
fn title(comment: String) -> Option<Arc<str>> {
    (!comment.is_empty()).then(|| Arc::from(comment))
}

fn time(value: Scalar) -> Result<Option<i64>, String> {
    let said = times::read(value, &TimeRule::of_catalogues());
    said.map_err(|_| String::from("Timestamp must be RFC 3339 or a number since 1970"))
}

/// An item as answers show it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ItemAnswer {
    item_id: ItemId,
    is_hidden: bool,
    categories: Vec<String>,
    timestamp: String,
    labels: Value,
    comment: String,
}

impl From<&ItemDescription> for ItemAnswer {
    fn from(item: &ItemDescription) -> Self {
        Self {
            item_id: item.id.clone(),
            is_hidden: item.hidden,
            categories: categories::of_item(item),
            timestamp: times::shown(item.timestamp),
            labels: labels::get(&item.properties),
            comment: item.title.as_deref().unwrap_or_default().to_owned(),
        }
    }
}

/// Says this about an item, in place of what was said before.
pub(super) async fn put(
    State(state): State<AppState>,
    Extension(settings): Extension<InteractionSettings>,
    Body(row): Body<ItemRow>,
) -> Result<Json<Affected>, Refusal> {
    let item = row
        .check(settings.keep_null_ids)
        .map_err(Refusal::invalid)?;
    let described = state.service()?.describe(vec![item]).await;
    described.map_err(|error| of_item("", error))?;
    Ok(affected(1))
}

/// Shows an item that is described or known by feedback.
pub(super) async fn get(
    State(state): State<AppState>,
    Path(text): Path<Arc<str>>,
) -> Result<Json<ItemAnswer>, Refusal> {
    said(&state, &text).map(|item| Json(ItemAnswer::from(&*item)))
}

/// Changes what is said about an item.
pub(super) async fn patch(
    State(state): State<AppState>,
    Path(text): Path<Arc<str>>,
    Extension(shared): Extension<Shared>,
    Body(patch): Body<ItemPatch>,
) -> Result<Json<Affected>, Refusal> {
    let _turn = shared.turn.lock().await;
    let item = said(&state, &text)?;
    let patch = patch.check(&item).map_err(Refusal::invalid)?;
    change(&state, &text, &item, patch).await
}

/// What is said about the item that a path names.
pub(super) fn said(state: &AppState, text: &str) -> Result<Arc<ItemDescription>, Refusal> {
    let item = state.service()?.item(&item_id(text)?);
    item.ok_or_else(|| Refusal::not_found(format!("item {text} not found")))
}

/// Changes what is said about an item that a path names as `text`.
pub(super) async fn change(
    state: &AppState,
    text: &str,
    item: &ItemDescription,
    patch: DescriptionPatch,
) -> Result<Json<Affected>, Refusal> {
    let changed = state.service()?.redescribe(item.id.clone(), patch).await;
    changed.map_err(|error| of_item(text, error))?;
    Ok(affected(1))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn item(row: Value) -> ItemDescription {
        let row: ItemRow = serde_json::from_value(row).expect("a row");
        row.check(false).expect("an item")
    }

    fn shown(item: &ItemDescription) -> Value {
        serde_json::to_value(ItemAnswer::from(item)).expect("an answer")
    }

    fn minions() -> Value {
        json!({
            "ItemId": "2000", "IsHidden": true, "Categories": ["Comedy", "Animation"],
            "Timestamp": "2015-06-17T00:00:00Z", "Labels": {"embedding": [0.1, 0.2], "year": 2015},
            "Comment": "Minions (2015)",
        })
    }

    #[test]
    fn an_item_reads_back_as_it_was_said() {
        assert_eq!(shown(&item(minions())), minions());
        let least = shown(&item(
            json!({"ItemId": 7, "Categories": null, "Labels": null}),
        ));
        let expected = json!({
            "ItemId": "7", "IsHidden": false, "Categories": [], "Labels": null,
            "Timestamp": "0001-01-01T00:00:00Z", "Comment": "",
        });
        assert_eq!(least, expected);
    }

    #[test]
    fn a_patch_changes_what_it_names() {
        let patched = |patch: Value| {
            let mut item = item(minions());
            let patch: ItemPatch = serde_json::from_value(patch).expect("a patch");
            patch.check(&item).expect("changes").apply(&mut item);
            shown(&item)
        };
        let with = |name: &str, value: Value| {
            let mut expected = minions();
            expected[name] = value;
            expected
        };
        let nothing = json!({"Categories": null, "Comment": null, "IsHidden": null, "Labels": null,
            "Timestamp": null});
        assert_eq!(patched(nothing), minions());
        for (name, value) in [
            ("Comment", json!("小黄人 (2015)")),
            ("IsHidden", json!(false)),
            ("Labels", json!(["a"])),
            ("Labels", json!({"year": 2016})),
            ("Categories", json!(["War", "Drama", "Children's"])),
            ("Categories", json!([])),
            ("Timestamp", json!("1995-01-01T00:00:00Z")),
        ] {
            assert_eq!(
                patched(json!({name: value})),
                with(name, value.clone()),
                "{name}"
            );
        }
    }

    #[test]
    fn what_cannot_be_said_is_refused_without_repeating_it() {
        for (row, part) in [
            (json!({}), "ItemId is missing"),
            (json!({"ItemId": "a", "Timestamp": "needle"}), "Timestamp"),
            (
                json!({"ItemId": "a", "Comment": "needle".repeat(200)}),
                "title",
            ),
            (
                json!({"ItemId": "a", "Categories": ["needle\u{7}"]}),
                "tags",
            ),
            (
                json!({"ItemId": "a", "Labels": ["needle".repeat(9_000)]}),
                "longer",
            ),
        ] {
            let row: ItemRow = serde_json::from_value(row).expect("a row");
            let reason = row.check(false).expect_err(part);
            assert!(
                reason.contains(part) && !reason.contains("needle"),
                "{reason}"
            );
        }
    }
}
