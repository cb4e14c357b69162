//! `POST /api/user`, and `GET` and `PATCH /api/user/{user}`.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answers::{Affected, affected};
use super::chunks::{self, Properties};
use super::ids::user_id;
use super::json::Body;
use super::labels;
use super::refusal::Refusal;
use crate::config::InteractionSettings;
use crate::http::scalar::{Scalar, id};
use crate::http::state::AppState;
use recant_types::{PersonPatch, PersonProperties, PersonSummary, UserId, new_id};

/// Under which name a comment is kept. Who was ever said to be a user has one, if an empty one.
const COMMENT: &str = "comment";

/// A user as a body has it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
pub(super) struct UserRow {
    user_id: Scalar,
    labels: Value,
    comment: Option<String>,
}

impl UserRow {
    /// Who it is, and what is said about them.
    pub(super) fn check(self, keep_null_ids: bool) -> Result<(UserId, PersonProperties), String> {
        let user = id("UserId", self.user_id, |text| {
            UserId::new(new_id(text, keep_null_ids)?)
        })?;
        let mut said = Properties::new();
        put_comment(&self.comment.unwrap_or_default(), &mut said)?;
        put_labels(&self.labels, &mut said)?;
        let said = PersonProperties::new(said).map_err(|reason| reason.to_string())?;
        Ok((user, said))
    }
}

/// What is to be changed; what is absent or null stays.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UserPatch {
    labels: Option<Value>,
    comment: Option<String>,
}

impl UserPatch {
    pub(super) fn check(self) -> Result<PersonPatch, String> {
        let mut patch = PersonPatch::default();
        let mut said = Properties::new();
        if let Some(labels) = &self.labels {
            patch.keeps = Some(chunks::names(COMMENT).collect());
            put_labels(labels, &mut said)?;
        }
        if let Some(comment) = &self.comment {
            patch
                .sets
                .extend(chunks::names(COMMENT).map(|name| (name, None)));
            put_comment(comment, &mut said)?;
        }
        let said = said.into_iter().map(|(name, value)| (name, Some(value)));
        patch.sets.extend(said);
        Ok(patch)
    }
}

fn put_comment(comment: &str, said: &mut Properties) -> Result<(), String> {
    chunks::put(COMMENT, comment, said).map_err(|long| long.to_string())
}

fn put_labels(given: &Value, said: &mut Properties) -> Result<(), String> {
    labels::put(given, said).map_err(|long| long.to_string())
}

/// A user as answers show it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UserAnswer {
    user_id: UserId,
    labels: Value,
    comment: String,
}

impl From<PersonSummary> for UserAnswer {
    fn from(person: PersonSummary) -> Self {
        let said = person.properties.expose();
        Self {
            labels: labels::get(said),
            comment: chunks::get(COMMENT, said).unwrap_or_default(),
            user_id: person.user,
        }
    }
}

/// Says this about a user, in place of what was said before. Nothing else need be held of them.
pub(super) async fn put(
    State(state): State<AppState>,
    Extension(settings): Extension<InteractionSettings>,
    Body(row): Body<UserRow>,
) -> Result<Json<Affected>, Refusal> {
    let (user, said) = row
        .check(settings.keep_null_ids)
        .map_err(Refusal::invalid)?;
    state.service()?.put_user(user, said).await?;
    Ok(affected(1))
}

/// Shows a user of whom anything is held.
pub(super) async fn get(
    State(state): State<AppState>,
    Path(text): Path<Arc<str>>,
) -> Result<Json<UserAnswer>, Refusal> {
    let person = state.service()?.user(&user_id(&text)?).await?;
    let person = person.ok_or_else(|| Refusal::not_found(format!("user {text} not found")))?;
    Ok(Json(person.into()))
}

/// Changes what is said about a user, known or not: the answer does not tell.
pub(super) async fn patch(
    State(state): State<AppState>,
    Path(text): Path<Arc<str>>,
    Extension(settings): Extension<InteractionSettings>,
    Body(patch): Body<UserPatch>,
) -> Result<Json<Affected>, Refusal> {
    let user = id("user", Scalar::Text(text.to_string()), |text| {
        UserId::new(new_id(text, settings.keep_null_ids)?)
    });
    let user = user.map_err(Refusal::invalid)?;
    let patch = patch.check().map_err(Refusal::invalid)?;
    state.service()?.patch_user(user, patch).await?;
    Ok(affected(1))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(row: Value) -> PersonProperties {
        let row: UserRow = serde_json::from_value(row).expect("a row");
        row.check(false).expect("a user").1
    }

    fn shown(said: &PersonProperties) -> Value {
        let person = PersonSummary {
            user: UserId::new("ada").expect("an id"),
            properties: said.clone(),
            interactions: 0,
            restricted: false,
        };
        serde_json::to_value(UserAnswer::from(person)).expect("an answer")
    }

    #[test]
    fn a_user_of_whom_nothing_is_said_is_there_all_the_same() {
        let nothing = said(json!({"UserId": "ada"}));
        assert!(!nothing.is_empty());
        assert_eq!(
            shown(&nothing),
            json!({"UserId": "ada", "Labels": null, "Comment": ""})
        );
    }

    #[test]
    fn a_patch_changes_labels_and_comment_apart() {
        let labels = json!({"age": 24, "hobbies": ["a", "b"]});
        let long = "é".repeat(1_500);
        let before = said(json!({"UserId": "ada", "Labels": labels, "Comment": long}));
        let patched = |patch: Value| {
            let patch: UserPatch = serde_json::from_value(patch).expect("a patch");
            shown(
                &patch
                    .check()
                    .expect("changes")
                    .apply(&before)
                    .expect("within bounds"),
            )
        };
        let of = |labels: &Value, comment: &str| json!({"UserId": "ada", "Labels": labels, "Comment": comment});
        assert_eq!(patched(json!({"Labels": null})), of(&labels, &long));
        assert_eq!(patched(json!({"Comment": "short"})), of(&labels, "short"));
        let other = json!(["c"]);
        assert_eq!(
            patched(json!({"Labels": other, "UserId": "x"})),
            of(&other, &long)
        );
        let both = patched(json!({"Labels": {"age": 25}, "Comment": ""}));
        assert_eq!(both, of(&json!({"age": 25}), ""));
    }
}
