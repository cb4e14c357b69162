//! Who makes a request.

use std::sync::Arc;

use axum::http::HeaderName;

use crate::config::Role;
use recant_types::{ErasureFilter, ErasureRecord};

/// Where a key may be in place of `Authorization`.
pub(super) const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Who makes a request, once it was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller {
    /// The name of their key; `None` when there are no keys.
    pub(super) name: Option<Arc<str>>,
    roles: Held,
}

/// The roles that somebody has, a bit for each of [`Role::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held(u8);

impl Held {
    /// Those of which `has` is true.
    fn of(has: impl Fn(Role) -> bool) -> Self {
        let all = Role::ALL.into_iter().enumerate();
        Self(all.fold(0, |held, (bit, role)| held | u8::from(has(role)) << bit))
    }

    fn roles(self) -> impl Iterator<Item = Role> {
        let all = Role::ALL.into_iter().enumerate();
        all.filter_map(move |(bit, role)| (self.0 >> bit & 1 == 1).then_some(role))
    }
}

impl Caller {
    /// Whoever calls where there are no keys, or none is needed.
    pub(super) fn nobody() -> Self {
        Self {
            name: None,
            roles: Held::of(|_| true),
        }
    }

    /// Whoever has the key of this name.
    #[cfg(test)]
    pub(super) fn named(name: &str) -> Self {
        Self::with_roles(Some(name), &[])
    }

    /// Whoever has the key of this name, with the roles of which `has` is true.
    pub(super) fn of(name: &Arc<str>, has: impl Fn(Role) -> bool) -> Self {
        Self {
            name: Some(Arc::clone(name)),
            roles: Held::of(has),
        }
    }

    /// Whoever has these roles, by the key of this name.
    pub(super) fn with_roles(name: Option<&str>, roles: &[Role]) -> Self {
        Self {
            name: name.map(Arc::from),
            roles: Held::of(|role| roles.contains(&Role::Admin) || roles.contains(&role)),
        }
    }

    /// Their roles.
    pub(super) fn roles(&self) -> Vec<Role> {
        self.roles.roles().collect()
    }

    /// Whether they have this role.
    pub(super) fn has(&self, role: Role) -> bool {
        self.roles.roles().any(|held| held == role)
    }

    /// Whether they may add interactions, for a call that takes another role and may do so beside.
    pub(super) fn may_write(&self) -> bool {
        self.has(Role::Write)
    }

    /// The name of their key, for the record of what they request.
    pub(super) fn requester(&self) -> Option<String> {
        self.name.as_deref().map(str::to_owned)
    }

    /// The name by which what they may see was requested; `None` when they may see everything.
    pub(super) fn sees_only(&self) -> Option<String> {
        self.requester().filter(|_| !self.has(Role::Admin))
    }

    /// Whether they may see this erasure. To others it looks as if there were none.
    pub(super) fn may_see(&self, record: &ErasureRecord) -> bool {
        let filter = ErasureFilter {
            requested_by: self.sees_only(),
            ..ErasureFilter::default()
        };
        filter.matches(record)
    }
}
