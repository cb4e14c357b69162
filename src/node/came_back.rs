//! How a node that was away came back, by the keys that it signs with.

use recant_cluster::{CameBack, ToSettle};
use recant_receipt::{Jwk, JwkSet, SettledHow};
use recant_service::NodeBack;

/// Those that owe nothing any more, and why. One that came back with another disk is none of them: the disk that it
/// left with is somewhere.
pub(super) fn came_back(to_settle: &[ToSettle]) -> Vec<NodeBack> {
    let back = to_settle.iter().filter_map(|it| {
        Some(NodeBack {
            node: it.node.0.clone(),
            upto: it.upto,
            how: how(&it.came_back)?,
        })
    });
    back.collect()
}

/// A directory keeps the public keys that it signed with when its keys are destroyed, and signs with a new one then:
/// so whoever names both is the same directory with other keys.
fn how(came_back: &CameBack) -> Option<SettledHow> {
    let CameBack::Current {
        left_with,
        signs_with,
    } = came_back
    else {
        return Some(SettledHow::Attested);
    };
    let (left_with, signs_with) = (read_keys(left_with), read_keys(signs_with));
    let left_with = left_with.first()?;
    let mut known = signs_with.iter().map(|key| key.x == left_with.x);
    if known.next()? {
        return Some(SettledHow::CaughtUp);
    }
    known.any(|is| is).then_some(SettledHow::Transferred)
}

/// What a node said of its keys, the one that it signs with first; nothing where that is no set of keys.
pub(super) fn read_keys(said: &[u8]) -> Vec<Jwk> {
    serde_json::from_slice::<JwkSet>(said).map_or_else(|_| Vec::new(), |set| set.keys)
}

#[cfg(test)]
mod tests {
    use recant_cluster::NodeId;
    use recant_receipt::SigningKey;

    use super::*;

    fn keys(seeds: &[u8]) -> Vec<u8> {
        let keys = seeds
            .iter()
            .map(|seed| SigningKey::from_seed(&[*seed; 32]).public());
        let set = JwkSet {
            keys: keys.collect(),
        };
        serde_json::to_vec(&set).expect("plain data")
    }

    #[test]
    fn only_the_disk_that_left_settles_what_it_owes() {
        let how = |left_with: &[u8], signs_with: &[u8]| {
            let to_settle = [ToSettle {
                node: NodeId("b".to_owned()),
                upto: 7,
                came_back: CameBack::Current {
                    left_with: left_with.to_owned(),
                    signs_with: signs_with.to_owned(),
                },
            }];
            came_back(&to_settle)
                .pop()
                .map(|back| (back.upto, back.how))
        };
        let (caught_up, transferred) = (SettledHow::CaughtUp, SettledHow::Transferred);
        assert_eq!(how(&keys(&[1]), &keys(&[1])), Some((7, caught_up)));
        assert_eq!(how(&keys(&[1, 2]), &keys(&[1, 2])), Some((7, caught_up)));
        assert_eq!(
            how(&keys(&[1, 2]), &keys(&[3, 1, 2])),
            Some((7, transferred))
        );
        // Another disk, whatever the first had been before.
        assert_eq!(how(&keys(&[1, 2]), &keys(&[3])), None);
        assert_eq!(how(&keys(&[1, 2]), &keys(&[3, 2])), None);
        assert_eq!(how(&keys(&[]), &keys(&[3])), None);
        assert_eq!(how(&keys(&[1]), b"no keys"), None);
        let attested = [ToSettle {
            node: NodeId("b".to_owned()),
            upto: 7,
            came_back: CameBack::Never,
        }];
        assert_eq!(came_back(&attested)[0].how, SettledHow::Attested);
    }
}
