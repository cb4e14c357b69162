//! The table of the calls: path, method, role, and which of several nodes answers. `docs/gorse.md` shows the same.

use axum::http::Method;

use super::{
    erasures, feedback, feedback_answers, health, item, item_categories, items, lists, neighbours,
    recommend, session, shared, user, users,
};
use crate::config::Role;
use crate::http::answered_by::AnsweredBy;
use crate::http::face::{Face, Terms};
use crate::http::routes::Needs;

const READ: Terms = (Needs::Role(Role::Read), AnsweredBy::Current);
/// A list that may be written back.
const LIST: Terms = (
    Needs::Role(Role::Read),
    AnsweredBy::CurrentUnless("write-back-type"),
);
const WRITE: Terms = (Needs::Role(Role::Write), AnsweredBy::LeaderWrites);
const ERASE: Terms = (Needs::Role(Role::Erase), AnsweredBy::LeaderWrites);
/// Who people are, as with `GET /users`.
const PEOPLE: Terms = (Needs::Role(Role::Admin), AnsweredBy::Current);
/// What people did, as with `GET /export`.
const HISTORY: Terms = (Needs::Role(Role::Admin), AnsweredBy::Leader);

/// Every call of the face.
pub(in crate::http) fn face() -> Face {
    let face = lists_of_items(feedback_of_people(people(catalogue(Face::default()))));
    let mut face = face
        .probe("/api/health/live", health::live)
        .probe("/api/health/ready", health::ready);
    face.calls = shared::shared_by(face.calls);
    face
}

fn catalogue(face: Face) -> Face {
    use Method as M;
    const ITEM: &str = "/api/item/{item}";
    const CATEGORY: &str = "/api/item/{item}/category/{category}";
    face.call(M::POST, "/api/item", WRITE, item::put)
        .call(M::GET, ITEM, READ, item::get)
        .call(M::PATCH, ITEM, WRITE, item::patch)
        .call(M::DELETE, ITEM, ERASE, erasures::item)
        .call(M::PUT, CATEGORY, WRITE, item_categories::put)
        .call(M::DELETE, CATEGORY, WRITE, item_categories::delete)
        .call(M::POST, "/api/items", WRITE, items::put)
        .call(M::GET, "/api/items", READ, items::page)
}

fn people(face: Face) -> Face {
    use Method as M;
    const USER: &str = "/api/user/{user}";
    face.call(M::POST, "/api/user", WRITE, user::put)
        .call(M::GET, USER, PEOPLE, user::get)
        .call(M::PATCH, USER, WRITE, user::patch)
        .call(M::DELETE, USER, ERASE, erasures::user)
        .call(M::POST, "/api/users", WRITE, users::put)
        .call(M::GET, "/api/users", PEOPLE, users::page)
}

/// Two names are a user and an item, three a type before them, and one is a type.
fn feedback_of_people(face: Face) -> Face {
    use Method as M;
    const ALL: &str = "/api/feedback";
    const TYPE: &str = "/api/feedback/{first}";
    const PAIR: &str = "/api/feedback/{first}/{second}";
    const TYPED: &str = "/api/feedback/{first}/{second}/{third}";
    const OF_USER: &str = "/api/user/{user}/feedback";
    const OF_USER_IN: &str = "/api/user/{user}/feedback/{type}";
    const OF_ITEM: &str = "/api/item/{item}/feedback";
    const OF_ITEM_IN: &str = "/api/item/{item}/feedback/{type}";
    face.call(M::POST, ALL, WRITE, feedback::post)
        .call(M::PUT, ALL, WRITE, feedback::put)
        .call(M::GET, ALL, HISTORY, feedback_answers::page)
        .call(M::GET, TYPE, HISTORY, feedback_answers::page_of_type)
        .call(M::GET, PAIR, HISTORY, feedback_answers::of_pair)
        .call(M::DELETE, PAIR, ERASE, erasures::pair)
        .call(M::GET, TYPED, HISTORY, feedback_answers::of_typed_pair)
        .call(M::DELETE, TYPED, ERASE, erasures::typed_pair)
        .call(M::GET, OF_USER, HISTORY, feedback_answers::of_user)
        .call(
            M::GET,
            OF_USER_IN,
            HISTORY,
            feedback_answers::of_user_by_type,
        )
        .call(M::GET, OF_ITEM, HISTORY, feedback_answers::of_item)
        .call(
            M::GET,
            OF_ITEM_IN,
            HISTORY,
            feedback_answers::of_item_by_type,
        )
}

fn lists_of_items(face: Face) -> Face {
    use Method as M;
    const RECOMMEND: &str = "/api/recommend/{user}";
    const RECOMMEND_IN: &str = "/api/recommend/{user}/{category}";
    const SESSION: &str = "/api/session/recommend";
    const SESSION_IN: &str = "/api/session/recommend/{category}";
    const NEIGHBOURS: &str = "/api/item/{item}/neighbors";
    const NEIGHBOURS_IN: &str = "/api/item/{item}/neighbors/{category}";
    const ITEM_TO_ITEM: &str = "/api/item-to-item/{name}/{item}";
    const USERS: &str = "/api/user/{user}/neighbors";
    const USER_TO_USER: &str = "/api/user-to-user/{name}/{user}";
    const NAMED: &str = "/api/non-personalized/{name}";
    face.call(M::GET, RECOMMEND, LIST, recommend::everywhere)
        .call(M::GET, RECOMMEND_IN, LIST, recommend::in_category)
        .call(M::POST, SESSION, READ, session::everywhere)
        .call(M::POST, SESSION_IN, READ, session::in_category)
        .call(M::GET, NEIGHBOURS, READ, neighbours::everywhere)
        .call(M::GET, NEIGHBOURS_IN, READ, neighbours::in_category)
        .call(M::GET, ITEM_TO_ITEM, READ, neighbours::by_name)
        .call(M::GET, USERS, PEOPLE, neighbours::of_user)
        .call(M::GET, USER_TO_USER, PEOPLE, neighbours::of_user)
        .call(M::GET, NAMED, READ, lists::by_name)
        .call(M::GET, "/api/latest", READ, lists::latest)
        .call(M::GET, "/api/latest/{category}", READ, lists::latest_in)
        .call(M::GET, "/api/popular", READ, lists::popular)
        .call(M::GET, "/api/popular/{category}", READ, lists::popular_in)
}
