//! Erases an interaction, waits until that is certified, and checks the receipt as somebody would who
//! has the receipt, the salt from the answer, and the public keys, and does not trust the service.
//!
//! `cargo run --release --example erase_and_verify`

mod support;

use std::error::Error;
use std::time::Duration;

use recant_receipt::{CommitmentClaim, commit, verify};
use recant_service::{ReceiptAnswer, Service};
use recant_types::{ErasureId, ErasureTarget, ItemId, UserId};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let catalogue = support::catalogue()?;
    let directory = tempfile::tempdir()?;
    let (service, guard) = support::serve(&catalogue, directory.path()).await?;

    let (user, item) = catalogue.interactions[0];
    let target = ErasureTarget::Pairs(vec![(
        UserId::new(&catalogue.users[user as usize])?,
        ItemId::new(&catalogue.items[item as usize].id)?,
    )]);
    let accepted = service.erase(target.clone(), None).await?;
    let salt = accepted.salt.ok_or("a first request has a salt")?;

    let compact = certified(&service, accepted.record.id).await?;
    let receipt = verify(&compact, &service.published_keys())?;
    println!(
        "receipt {} of {}, signed with key {}",
        receipt.claims.sequence, receipt.claims.iss, receipt.key_id
    );

    // The commitment says what was erased to whoever has the salt, and nothing to anybody else.
    let other = ErasureTarget::User(UserId::new(&catalogue.users[user as usize])?);
    for (what, target) in [("what was erased", target), ("something else", other)] {
        let opening = CommitmentClaim::new(commit(&salt, &target));
        let opens = receipt.claims.commitment.as_ref() == Some(&opening);
        println!("the salt opens the commitment to {what}: {opens}");
    }

    // One letter of the payload changed, and the signature does not hold.
    let forged = compact.replacen('.', ".A", 1);
    println!(
        "a changed receipt {}",
        verify(&forged, &service.published_keys()).expect_err("forged")
    );
    guard.stop().await;
    Ok(())
}

/// The receipt, once there is one: certification runs behind the answer, for some milliseconds here.
async fn certified(service: &Service, id: ErasureId) -> Result<String, Box<dyn Error>> {
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    for _ in 0..3_000 {
        looks.tick().await;
        match service.receipt(id).await? {
            ReceiptAnswer::Signed(compact) => return Ok(compact),
            ReceiptAnswer::NotYet => {}
            ReceiptAnswer::Never | ReceiptAnswer::UnknownErasure => return Err("no receipt".into()),
        }
    }
    Err("not certified within a minute".into())
}
