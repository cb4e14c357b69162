//! `GET /recommend` and `POST /recommend`.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures_util::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::arrangement::{ArrangementFields, Boosts, arrangement_of, boosts_schema};
use super::explanation::ExplanationAnswer;
use super::json_body::{Id, JsonBody, number};
use super::layers::Deadline;
use super::metric_names::RECOMMEND_DURATION_SECONDS;
use super::parameters::{Parameters, invalid};
use super::problem::{INVALID_BODY, Problem};
use super::selection::{
    SELECTION, SelectionFields, SelectionParameters, offset_of, refuse_explained_page, selection_of,
};
use super::state::AppState;
use recant_service::{
    AsOf, BATCH_USERS_MAX, BECAUSE_DEFAULT, BECAUSE_MAX, BatchQuery, HistoryShare, K_MAX,
    OFFSET_MAX, QUERY_ITEMS_MAX, RecommendQuery, Recommendations, ScoredItem, Subject,
};
use recant_types::{Given, ItemId, UserId};

/// How many items are returned when the caller does not say.
pub(super) const K_DEFAULT: usize = 10;

/// What is wrong with a number of shares that nobody would see.
const BECAUSE_WITHOUT_EXPLAIN: &str = "because is told where explain is true: ask for both";

/// Recommendations, all of one model version.
#[derive(Serialize, ToSchema)]
#[schema(as = Recommendations)]
pub(super) struct RecommendAnswer {
    /// The user they are for; absent for a session history.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "ada")]
    user: Option<UserId>,
    /// The version of the model that answered.
    #[schema(example = 42)]
    model_version: u64,
    /// `model`, `fold_in` or `popular`.
    #[schema(example = "model")]
    source: &'static str,
    /// Best first.
    items: Vec<ItemAnswer>,
    /// What is proven about the list; only when `explain` asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<ExplanationAnswer>,
}

impl RecommendAnswer {
    fn of(user: Option<UserId>, found: Recommendations) -> Self {
        Self {
            user,
            model_version: found.model_version,
            source: found.source.as_str(),
            items: found.items.into_iter().map(ItemAnswer::from).collect(),
            explanation: found.explanation.map(ExplanationAnswer::from),
        }
    }
}

/// One item of an answer.
#[derive(Serialize, ToSchema)]
#[schema(as = ScoredItem)]
pub(super) struct ItemAnswer {
    /// Its id.
    #[schema(value_type = String, example = "dune")]
    item: ItemId,
    /// What the list is ordered by, where the question does not arrange it otherwise.
    #[schema(example = 0.93)]
    score: f32,
    /// What of the score the question added; absent where it added nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 0.2)]
    boost: Option<f64>,
    /// True where it comes first because the question says so; absent elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pinned: Option<bool>,
    /// `content` where nobody has touched the item yet, so that its score comes from what is said about it
    /// and nothing is proven of it; absent elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "content")]
    source: Option<&'static str>,
    /// Its title, when one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "Dune")]
    title: Option<Arc<str>>,
    /// The items of the history that the score comes from, largest share first. Only when `explain`
    /// asks for it, and where scores are sums over a history: not of popular items, nor of neural models.
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<Vec<ShareAnswer>>,
    /// What all others of the history bring: with the shares above, and the boost, it adds up to the
    /// score.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 0.12)]
    others: Option<f64>,
}

/// What one item of a history brings to a score.
#[derive(Serialize, ToSchema)]
#[schema(as = HistoryShare)]
pub(super) struct ShareAnswer {
    /// An item of the history.
    #[schema(value_type = String, example = "solaris")]
    item: ItemId,
    /// Its title, when one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "Solaris")]
    title: Option<Arc<str>>,
    /// How much of the score it brings; negative where it speaks against.
    #[schema(example = 0.41)]
    share: f64,
}

impl From<ScoredItem> for ItemAnswer {
    fn from(scored: ScoredItem) -> Self {
        Self {
            item: scored.item,
            score: scored.score,
            boost: scored.boost,
            pinned: scored.is_pinned.then_some(true),
            source: scored.is_content.then_some("content"),
            title: scored.title,
            others: scored.because.as_ref().map(|because| because.others),
            because: scored
                .because
                .map(|because| because.items.into_iter().map(ShareAnswer::from).collect()),
        }
    }
}

impl From<HistoryShare> for ShareAnswer {
    fn from(share: HistoryShare) -> Self {
        Self {
            item: share.item,
            title: share.title,
            share: share.share,
        }
    }
}

/// A question without an id in the URL. Exactly one of `user`, `users` and `history` is given.
#[derive(Deserialize, ToSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "an object with user, users or history, and k, offset, exclude_seen, exclude, allow, tags, tags_all, tags_none, filter, boosts, pins, diversity, explain, because, as_of"
)]
#[schema(as = RecommendRequest, example = json!({"history": ["dune", "solaris"], "k": 10}))]
pub(super) struct RecommendBody {
    /// For whom.
    #[schema(value_type = Option<Id>)]
    user: Option<Given<UserId>>,
    /// For each of these, up to 10 000; the answer is NDJSON, a line for each in this order.
    #[schema(value_type = Option<Vec<Id>>, max_items = 10_000)]
    users: Option<Vec<Given<UserId>>>,
    /// The items of a session without a user, up to 10 000.
    #[schema(value_type = Option<Vec<Id>>, max_items = 10_000)]
    history: Option<Vec<Given<ItemId>>>,
    /// How many, 1 to 1000; 10 unless given.
    #[schema(minimum = 1, maximum = 1_000)]
    k: Option<usize>,
    /// How many of the best to leave out before these, up to 10 000; the same of one version.
    #[schema(minimum = 0, maximum = 10_000)]
    offset: Option<usize>,
    /// Leave out what the user or the history already has; true unless given.
    exclude_seen: Option<bool>,
    /// Leave out these items too, up to 10 000.
    #[serde(default)]
    #[schema(value_type = Vec<Id>, max_items = 10_000)]
    exclude: Vec<Given<ItemId>>,
    /// What is added to the scores of these items.
    #[serde(default)]
    #[schema(schema_with = boosts_schema)]
    boosts: Boosts,
    /// These items come first, in this order, up to 100: those of them that may be in the list.
    #[serde(default)]
    #[schema(value_type = Vec<Id>, max_items = 100)]
    pins: Vec<Given<ItemId>>,
    /// How much likeness to what comes before it counts against an item, 0 to 1; 0 unless given.
    #[schema(minimum = 0, maximum = 1)]
    diversity: Option<f64>,
    /// Say what is proven about the list too, and which items of the history its scores come from.
    #[serde(default)]
    explain: bool,
    /// How many items of the history to name for each score, 0 to 1000; 5 unless given. Only with
    /// `explain`.
    #[schema(minimum = 0, maximum = 1_000)]
    because: Option<usize>,
    /// Which version answers: `live` unless given, or `certified` for the last one whose certificate
    /// held.
    as_of: Option<String>,
    /// Take only from these items, up to 10 000.
    #[schema(value_type = Option<Vec<Id>>, max_items = 10_000)]
    allow: Option<Vec<Given<ItemId>>>,
    /// Take only items with at least one of these tags.
    #[serde(default)]
    #[schema(max_items = 64)]
    tags: Vec<String>,
    /// Take only items with each of these tags.
    #[serde(default)]
    #[schema(max_items = 64)]
    tags_all: Vec<String>,
    /// Leave out items with one of these tags.
    #[serde(default)]
    #[schema(max_items = 64)]
    tags_none: Vec<String>,
    /// Take only items of which this is true: CEL over tags, properties, timestamp and title.
    #[schema(example = "\"drama\" in tags && properties.price < 20")]
    filter: Option<String>,
}

/// Recommends items to a user. A user it does not know gets what is popular.
#[utoipa::path(
    get,
    path = "/recommend",
    tag = "recommend",
    params(
        ("user" = String, Query, description = "For whom", example = "ada", min_length = 1, max_length = 256),
        ("k" = Option<usize>, Query, description = "How many; 10 unless given", minimum = 1, maximum = 1000),
        ("exclude_seen" = Option<bool>, Query, description = "Leave out what the user has; true unless given"),
        ("offset" = Option<usize>, Query, description = "How many of the best to leave out before these; the same of one version", minimum = 0, maximum = 10000),
        ("diversity" = Option<f64>, Query, description = "How much likeness to what comes before it counts against an item; 0 unless given", minimum = 0, maximum = 1),
        ("explain" = Option<bool>, Query, description = "Say what is proven about the list too, and which items of the history its scores come from"),
        ("because" = Option<usize>, Query, description = "How many items of the history to name for each score; 5 unless given. Only with explain", minimum = 0, maximum = 1000),
        ("as_of" = Option<String>, Query, description = "Which version answers: live unless given, or certified for the last one whose certificate held; for a user of whom something was erased since, or who came later, the live one"),
        SelectionParameters,
    ),
    responses(
        (status = 200, description = "The best items, best first", body = RecommendAnswer),
    ),
    security(("api_key" = ["read"])),
    extensions(("x-answered-by" = json!("current-unless-certified"))),
)]
pub(super) async fn by_query(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
) -> Result<Json<RecommendAnswer>, Problem> {
    let query = read_query(query.as_deref())?;
    answer(&state, query).await
}

/// Recommends items to a user, to many users, or to a session known by its history, with no id in
/// the URL.
///
/// The answer for many users is a line of JSON for each, all of one version of the model; one that
/// breaks off before its last line was not finished in time.
#[utoipa::path(
    post,
    path = "/recommend",
    tag = "recommend",
    request_body(content = RecommendBody, content_type = "application/json"),
    responses(
        (status = 200, description = "The best items, best first; for many users a line for each", content(
            (RecommendAnswer = "application/json"),
            (RecommendAnswer = "application/x-ndjson"),
        )),
    ),
    security(("api_key" = ["read"])),
    extensions(("x-answered-by" = json!("current-unless-certified"))),
)]
pub(super) async fn by_body(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    Extension(deadline): Extension<Deadline>,
    JsonBody(body): JsonBody<RecommendBody>,
) -> Result<Response, Problem> {
    Parameters::refuse(query.as_deref())?;
    match read_body(body)? {
        Request::One(query) => Ok(answer(&state, query).await?.into_response()),
        Request::Many(query) => answer_batch(&state, query, deadline).await,
    }
}

/// What a body asks for.
#[derive(Debug)]
enum Request {
    One(RecommendQuery),
    Many(BatchQuery),
}

fn read_query(query: Option<&str>) -> Result<RecommendQuery, Problem> {
    let known = [
        &["user", "k", "offset", "exclude_seen", "explain"][..],
        &["diversity", "because", "as_of"],
        &SELECTION,
    ];
    let mut parameters = Parameters::parse(query, &known.concat())?;
    let asks_because = parameters.has("because");
    let user = parameters
        .user()?
        .ok_or_else(|| invalid("user is missing: say for whom, as in /recommend?user=ID"))?;
    let query = RecommendQuery {
        subject: Subject::User(user),
        k: parameters.number("k", 1..=K_MAX, K_DEFAULT)?,
        offset: offset_of(&mut parameters)?,
        exclude_seen: parameters.truth("exclude_seen", true)?,
        explain: parameters.truth("explain", false)?,
        because: parameters.number("because", 0..=BECAUSE_MAX, BECAUSE_DEFAULT)?,
        as_of: as_of(parameters.text("as_of").as_deref())?,
        selection: selection_of(&mut parameters)?,
        arrangement: arrangement_of(&mut parameters)?,
    };
    refuse_explained_page(query.explain, query.offset)?;
    if asks_because && !query.explain {
        return Err(invalid(BECAUSE_WITHOUT_EXPLAIN));
    }
    Ok(query)
}

/// Reads which version is to answer.
fn as_of(name: Option<&str>) -> Result<AsOf, Problem> {
    match name {
        None | Some("live") => Ok(AsOf::Live),
        Some("certified") => Ok(AsOf::Certified),
        Some(_) => Err(invalid("as_of must be live or certified")),
    }
}

fn read_body(body: RecommendBody) -> Result<Request, Problem> {
    let refuse = |detail: String| Err(Problem::new(&INVALID_BODY, detail));
    let subject = match (body.user, body.users, body.history) {
        (Some(user), None, None) => Ok(Subject::User(user.0)),
        (None, None, Some(history)) => Ok(Subject::History(Given::ids(history))),
        (None, Some(users), None) => Err(Given::ids(users)),
        _ => return refuse(String::from("give either user, users or history")),
    };
    let k = number("k", body.k, 1..=K_MAX, K_DEFAULT)?;
    let offset = number("offset", body.offset, 0..=OFFSET_MAX, 0)?;
    refuse_explained_page(body.explain, offset)?;
    let because = number("because", body.because, 0..=BECAUSE_MAX, BECAUSE_DEFAULT)?;
    if body.because.is_some() && !body.explain {
        return refuse(String::from(BECAUSE_WITHOUT_EXPLAIN));
    }
    if matches!(&subject, Ok(Subject::History(items)) if items.len() > QUERY_ITEMS_MAX) {
        return refuse(format!("history may name up to {QUERY_ITEMS_MAX} items"));
    }
    let selection = SelectionFields {
        exclude: body.exclude,
        allow: body.allow,
        tags: body.tags,
        tags_all: body.tags_all,
        tags_none: body.tags_none,
        filter: body.filter,
    };
    let selection = selection.check()?;
    let arrangement = ArrangementFields {
        boosts: body.boosts,
        pins: body.pins,
        diversity: body.diversity,
    };
    let arrangement = arrangement.check()?;
    let exclude_seen = body.exclude_seen.unwrap_or(true);
    let as_of = as_of(body.as_of.as_deref())?;
    Ok(match subject {
        Ok(subject) => Request::One(RecommendQuery {
            subject,
            k,
            offset,
            exclude_seen,
            selection,
            arrangement,
            explain: body.explain,
            because,
            as_of,
        }),
        Err(users) if users.len() > BATCH_USERS_MAX => {
            return refuse(format!("users may name up to {BATCH_USERS_MAX} users"));
        }
        Err(_) if as_of != AsOf::Live => {
            return refuse(String::from("as_of is for one user or history at a time"));
        }
        Err(_) if body.explain => {
            return refuse(String::from("explain is for one user or history at a time"));
        }
        Err(users) => Request::Many(BatchQuery {
            users,
            k,
            offset,
            exclude_seen,
            selection,
            arrangement,
        }),
    })
}

async fn answer(state: &AppState, query: RecommendQuery) -> Result<Json<RecommendAnswer>, Problem> {
    let user = match &query.subject {
        Subject::User(user) => Some(user.clone()),
        Subject::History(_) => None,
    };
    Ok(Json(RecommendAnswer::of(user, timed(state, query).await?)))
}

/// Asks the service, and records how long the answer took.
pub(super) async fn timed(
    state: &AppState,
    query: RecommendQuery,
) -> Result<Recommendations, Problem> {
    let start = Instant::now();
    let found = state.service()?.recommend(query).await?;
    metrics::histogram!(RECOMMEND_DURATION_SECONDS).record(start.elapsed().as_secs_f64());
    Ok(found)
}

/// Streams the lists of many users. The head is sent before they are found, so one that is not
/// done by the deadline can only break off.
async fn answer_batch(
    state: &AppState,
    query: BatchQuery,
    deadline: Deadline,
) -> Result<Response, Problem> {
    let line = |user: &UserId, found| {
        let answer = RecommendAnswer::of(Some(user.clone()), found);
        let mut line = serde_json::to_vec(&answer).expect("plain data into memory");
        line.push(b'\n');
        line
    };
    let blocks = state.service()?.recommend_batch(query, line).await?;
    let late = tokio::time::sleep_until(deadline.0.into());
    let chunks = blocks.map(|block| match block {
        Ok(lines) => Ok(Bytes::from(lines.concat())),
        Err(error) => Err(io::Error::other(error)),
    });
    let broken = stream::once(late).map(|()| Err(io::Error::from(io::ErrorKind::TimedOut)));
    let body = Body::from_stream(until(chunks, broken));
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

/// What `first` yields, to its end, or until `limit` has something to say.
fn until<T>(
    first: impl Stream<Item = T> + Send + 'static,
    limit: impl Stream<Item = T> + Send + 'static,
) -> impl Stream<Item = T> + Send + 'static {
    let both = (Box::pin(first), Box::pin(limit), false);
    stream::unfold(both, |(mut first, mut limit, is_over)| async move {
        if is_over {
            return None;
        }
        tokio::select! {
            biased;
            last = limit.next() => Some((last?, (first, limit, true))),
            next = first.next() => Some((next?, (first, limit, false))),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::json_body;

    #[test]
    fn a_query_has_defaults_and_limits() {
        let query = read_query(Some("user=ada")).expect("a good query");
        assert!(matches!(query.subject, Subject::User(user) if user.expose() == "ada"));
        assert_eq!((query.k, query.exclude_seen), (K_DEFAULT, true));
        assert!(query.selection.exclude.is_empty());
        let query = read_query(Some("user=a&k=1000&exclude_seen=false&exclude=x,y"));
        let query = query.expect("a good query");
        assert_eq!((query.k, query.exclude_seen), (1000, false));
        assert_eq!(query.selection.exclude.len(), 2);
        for bad in [
            "",
            "user=",
            "user=a&k=0",
            "user=a&k=1001",
            "user=a&history=b",
        ] {
            assert!(read_query(Some(bad)).is_err(), "{bad}");
        }
    }

    fn from_json(text: &str) -> Result<RecommendQuery, Problem> {
        match json_body::parse(text.as_bytes()).and_then(read_body)? {
            Request::One(query) => Ok(query),
            Request::Many(_) => panic!("a batch: {text}"),
        }
    }

    #[test]
    fn a_body_with_users_is_a_batch() {
        let asked = |text: &str| json_body::parse(text.as_bytes()).and_then(read_body);
        let batch = asked(r#"{"users":["a","b"],"k":3,"tags":["noir"],"allow":["x"]}"#);
        let Ok(Request::Many(batch)) = batch else {
            panic!("{batch:?}")
        };
        assert_eq!(
            (batch.users.len(), batch.k, batch.exclude_seen),
            (2, 3, true)
        );
        assert_eq!(
            (
                batch.selection.tags,
                batch.selection.allow.map(|allow| allow.len())
            ),
            (vec![String::from("noir")], Some(1))
        );
        assert!(asked(r#"{"users":["a"],"user":"a"}"#).is_err());
        let users = vec!["\"x\""; BATCH_USERS_MAX + 1].join(",");
        assert!(asked(&format!("{{\"users\":[{users}]}}")).is_err());
        let tags = vec!["\"x\""; recant_service::QUERY_TAGS_MAX + 1].join(",");
        assert!(asked(&format!("{{\"user\":\"a\",\"tags\":[{tags}]}}")).is_err());
    }

    #[test]
    fn a_body_names_a_user_or_a_history() {
        let query = from_json(r#"{"history":["a","b"],"k":3}"#).expect("a history");
        assert!(matches!(query.subject, Subject::History(items) if items.len() == 2));
        assert!(from_json(r#"{"user":"a","exclude_seen":false}"#).is_ok());
        for bad in [
            "{}",
            r#"{"user":"a","history":[]}"#,
            r#"{"user":"a","k":0}"#,
            r#"{"user":"a","k":-1}"#,
            r#"{"history":"abc"}"#,
            r#"{"user":"a","oops":1}"#,
        ] {
            let problem = from_json(bad).expect_err(bad);
            assert_eq!(problem.parts().0, "invalid_body", "{bad}");
        }
    }

    #[test]
    fn lists_in_a_body_are_bounded() {
        let items = vec!["\"x\""; QUERY_ITEMS_MAX + 1].join(",");
        for field in [
            "history",
            "exclude\":[],\"history\":[],\"exclude",
            "user\":\"a\",\"allow",
        ] {
            assert!(from_json(&format!("{{\"{field}\":[{items}]}}")).is_err());
        }
        let text = format!("{{\"user\":\"a\",\"exclude\":[{items}]}}");
        assert!(from_json(&text).is_err());
    }

    #[test]
    fn the_answer_has_the_names_of_the_contract() {
        let answer = RecommendAnswer {
            user: Some(UserId::new("ada").expect("an id")),
            model_version: 7,
            source: "model",
            items: vec![ItemAnswer {
                item: ItemId::new("dune").expect("an id"),
                score: 0.25,
                boost: None,
                pinned: None,
                source: None,
                title: None,
                because: None,
                others: None,
            }],
            explanation: None,
        };
        assert_eq!(
            serde_json::to_string(&answer).expect("plain data"),
            r#"{"user":"ada","model_version":7,"source":"model","items":[{"item":"dune","score":0.25}]}"#
        );
    }
}
