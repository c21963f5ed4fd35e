//! What is out of the ordinary happens as it was asked for, is written down, and is accepted.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use skytide_atproto::frame::{Frame as Parsed, peek};
use skytide_atproto::message::Message;
use skytide_sim::{
    Absurd, Act, ActEntry, ActKind, Config, FrameSource as _, Life, Network, Odd, Script, SimFrame,
};

use crate::decoder::{Map, bytes, frame, link, list, text};
use crate::judge::{Judge, MOST_OF_BLOCKS, judged_network};
use ipld_core::ipld::Ipld;

/// A small network, so that its accounts meet often.
fn small(seed: u64) -> Config {
    Config { seed, accounts: 60, p256: 200, ..Config::default() }
}

/// The frame of an entry.
fn payload_of(entry: &ActEntry, frames: &[SimFrame]) -> (String, Map) {
    let sent = frame(&frames[entry.frame as usize - 1].bytes);
    (sent.kind, sent.payload)
}

#[test]
fn every_act_happens_at_its_frame_and_is_in_the_log() {
    // Every third frame; what takes something to be there comes after what brings it.
    let order = Act::ALL.into_iter().filter(|act| *act != Act::Account(Life::Reactivated));
    let acts: Vec<_> = order.chain([Act::Account(Life::Reactivated)]).collect();
    let script: Script = (300..).step_by(3).zip(acts.iter().copied()).collect();
    let mut network = Network::new(small(5)).script(script.clone());
    let log = network.log();
    let (judge, frames) = judged_network(&mut network, 420);

    let entries = log.entries();
    let done: Vec<_> = entries.iter().map(|entry| (entry.frame, entry.act)).collect();
    assert_eq!(done, script.acts());
    assert_eq!(log.total(), 21);
    for entry in &entries {
        let (kind, payload) = payload_of(entry, &frames);
        let expected = match entry.act {
            Act::Sync | Act::SyncUnchanged => "#sync",
            Act::Lost | Act::LostUnnumbered | Act::Many | Act::Large | Act::Empty | Act::Blobs => "#commit",
            Act::Handle => "#handle",
            Act::Migrate => "#migrate",
            Act::Tombstone => "#tombstone",
            Act::Account(Life::Created | Life::Reborn) => "#identity",
            Act::Account(_) => "#account",
            Act::Info => "#info",
            Act::Time(_) => kind.as_str(),
        };
        assert_eq!(kind, expected, "{}", entry.act);
        assert_eq!(entry.seq.map(|seq| Ipld::Integer(seq.into())).as_ref(), payload.get("seq"));
        let did = ["did", "repo"].into_iter().find(|key| payload.contains_key(*key));
        assert_eq!(entry.did, did.map(|key| text(&payload, key)), "{}", entry.act);
        assert_eq!(
            entry.unsent.is_some(),
            matches!(entry.act, Act::Sync | Act::Lost | Act::LostUnnumbered),
            "{}",
            entry.act
        );
        match entry.act {
            Act::Sync => assert_eq!(entry.unsent, Some(text(&payload, "rev"))),
            Act::Lost | Act::LostUnnumbered => assert_eq!(entry.unsent, Some(text(&payload, "since"))),
            Act::Empty => assert_eq!(list(&payload, "ops"), []),
            Act::Blobs => assert!(!list(&payload, "blobs").is_empty()),
            Act::Account(life) => {
                let status = match life {
                    Life::Created | Life::Reborn | Life::Reactivated => None,
                    Life::Deactivated => Some("deactivated"),
                    Life::Suspended => Some("suspended"),
                    Life::TakenDown => Some("takendown"),
                    Life::Deleted => Some("deleted"),
                };
                assert_eq!(
                    payload.get("status"),
                    status.map(|status| Ipld::String(status.to_owned())).as_ref()
                );
            }
            Act::Time(Absurd::Past) => assert_eq!(text(&payload, "time"), "1970-01-01T00:00:00.000Z"),
            Act::Time(Absurd::Future) => assert!(text(&payload, "time").starts_with("2255-")),
            _ => {}
        }
    }
    for (kind, count) in [("sync ahead", 1), ("sync same", 1), ("ops: 200", 1), ("ops: 0", 1), ("blobs", 1)] {
        assert_eq!(judge.count(kind), count, "{kind}: {:?}", judge.seen);
    }
    // What is absurd is the time of the one frame.
    let past = frames.iter().filter(|sent| sent.time == Absurd::Past.nanos()).count();
    let future = frames.iter().filter(|sent| sent.time == Absurd::Future.nanos()).count();
    assert_eq!((past, future), (1, 1));
}

#[test]
fn chains_break_after_what_was_lost_and_nowhere_else() {
    let config = Config { odd: Odd { lost: 30_000, ..Odd::default() }, ..small(8) };
    let mut network = Network::new(config);
    let log = network.log();
    let (judge, frames) = judged_network(&mut network, 2_500);

    let entries = log.entries();
    let lost: Vec<_> = entries.iter().map(|entry| (entry.seq.unwrap(), entry.did.clone().unwrap())).collect();
    assert!((50..120).contains(&lost.len()), "{}", lost.len());
    assert_eq!(judge.breaks, lost);
    let gaps: Vec<_> =
        frames.array_windows().filter(|[a, b]| a.seq + 1 != b.seq).map(|[_, after]| after.seq).collect();
    let numbered = entries.iter().filter(|entry| entry.act == Act::Lost).map(|entry| entry.seq.unwrap());
    assert_eq!(gaps, numbered.collect::<Vec<_>>());
    assert!(gaps.len() > 20 && lost.len() - gaps.len() > 20, "both ways to lose a commit");

    let (judge, frames) = judged_network(&mut Network::new(Config { odd: Odd::default(), ..config }), 3_000);
    assert_eq!(judge.breaks, []);
    assert!(frames.array_windows().all(|[a, b]| a.seq + 1 == b.seq));
}

#[test]
fn the_largest_commits_prove_what_they_say() {
    for seed in 0..4 {
        let script = [(40, Act::Many), (41, Act::Large), (60, Act::Many), (61, Act::Large)];
        let mut network = Network::new(small(seed)).script(script);
        let log = network.log();
        let (judge, frames) = judged_network(&mut network, 80);
        assert_eq!((judge.count("ops: 200"), judge.breaks.len()), (2, 0));
        for entry in log.entries() {
            let (_, payload) = payload_of(&entry, &frames);
            let count = |action: &str| {
                let is = |op: &&Ipld| matches!(op, Ipld::Map(op) if text(op, "action") == action);
                list(&payload, "ops").iter().filter(is).count()
            };
            let blocks = bytes(&payload, "blocks").len();
            if entry.act == Act::Many {
                let counts = ["create", "update", "delete"].map(count);
                assert_eq!(counts.iter().sum::<usize>(), 200);
                assert!(counts.iter().all(|count| *count >= 30), "{counts:?}");
            } else {
                assert!((MOST_OF_BLOCKS - 2_000..=MOST_OF_BLOCKS).contains(&blocks), "{blocks}");
                assert!(frames[entry.frame as usize - 1].bytes.len() < 5_000_000);
            }
        }
    }
}

#[test]
fn accounts_live_die_and_are_born_again() {
    let script: Script = "
        at 50 account created
        at 60 account deactivated
        at 70 account suspended
        at 80 account takendown
        at 90 account reactivated
        at 91 account reactivated
        at 92 account reactivated
        at 200 account deleted
        at 300 account reborn
    "
    .parse()
    .unwrap();
    let before = Network::new(small(3)).accounts().len();
    let mut network = Network::new(small(3)).script(script);
    assert_eq!(network.accounts().len(), before + 1);
    let newest = network.accounts()[before].did().to_owned();
    let log = network.log();
    let (judge, frames) = judged_network(&mut network, 600);
    let entries = log.entries();
    let did_of = |place: usize| entries[place].did.clone().unwrap();
    assert_eq!(entries.len(), 9);
    assert_eq!(did_of(0), newest);
    assert_eq!(did_of(7), did_of(8), "nobody else is gone");
    assert_eq!(judge.breaks, []);

    // The created and the reborn alike: their frames in order, each repository from its beginning.
    for (born, did) in [(&entries[0], did_of(0)), (&entries[8], did_of(8))] {
        let own: Vec<_> = frames[born.frame as usize - 1..]
            .iter()
            .map(|sent| frame(&sent.bytes))
            .filter(|sent| {
                ["did", "repo"].iter().any(|key| sent.payload.get(*key) == Some(&Ipld::String(did.clone())))
            })
            .collect();
        let kinds: Vec<_> = own.iter().take(3).map(|sent| sent.kind.as_str()).collect();
        assert_eq!(kinds, ["#identity", "#account", "#commit"]);
        let first = &own[2].payload;
        assert_eq!((first.get("since"), link(first, "prevData")), (Some(&Ipld::Null), None));
    }
    // Between its end and its new beginning the account said nothing.
    let silence = &frames[entries[7].frame as usize..entries[8].frame as usize - 1];
    let did = Ipld::String(did_of(7));
    let says = |sent: &&SimFrame| {
        let sent = frame(&sent.bytes);
        sent.payload.get("repo") == Some(&did) || sent.payload.get("did") == Some(&did)
    };
    assert_eq!(silence.iter().filter(says).count(), 0);
}

#[test]
fn an_act_waits_for_somebody_who_can_do_it() {
    let script = [(1, Act::Lost), (1, Act::Account(Life::Reborn)), (20, Act::Tombstone), (30, Act::Info)];
    let mut network = Network::new(small(3)).script(script);
    let log = network.log();
    judged_network(&mut network, 60);
    let done: Vec<_> = log.entries().iter().map(|entry| (entry.frame, entry.act)).collect();
    let [(lost, Act::Lost), rest @ ..] = done.as_slice() else { panic!("{done:?}") };
    assert!((2..20).contains(lost), "an account has committed before");
    assert_eq!(rest, [(20, Act::Tombstone), (21, Act::Account(Life::Reborn)), (30, Act::Info)]);
}

#[test]
fn an_account_is_born_before_it_can_die() {
    let deleted = Act::Account(Life::Deleted);
    let script = [(5, Act::Account(Life::Created)), (6, deleted), (7, deleted)];
    let mut network = Network::new(Config { accounts: 1, ..Config::default() }).script(script);
    let log = network.log();
    judged_network(&mut network, 20);
    let done: Vec<_> = log.entries().iter().map(|entry| (entry.frame, entry.did.clone())).collect();
    let [old, new] = network.accounts() else { panic!("one account more than before") };
    // Frames 7 and 8 are the new one's `#account` and its first commit.
    let expected = [(5, new), (6, old), (9, new)].map(|(frame, who)| (frame, Some(who.did().to_owned())));
    assert_eq!(done, expected);
}

/// All kinds at once, the costly ones less often.
const ALL_KINDS: Odd = Odd {
    sync: 8_000,
    lost: 8_000,
    handle: 4_000,
    migrate: 1_000,
    tombstone: 1_000,
    many: 600,
    large: 400,
    empty: 4_000,
    blobs: 4_000,
    account: 10_000,
    info: 4_000,
    time: 4_000,
};

#[test]
fn a_long_run_of_everything_is_read() {
    let mut network = Network::new(Config { seed: 21, odd: ALL_KINDS, ..Config::default() });
    let log = network.log();
    let (mut kinds, mut out) = (BTreeMap::<String, u64>::new(), Vec::new());
    for _ in 0..20_000 {
        out.clear();
        let seq = network.next_into(&mut out).unwrap();
        let parsed = Parsed::parse(&out).unwrap();
        let message = Message::parse(&parsed).unwrap();
        assert_eq!((message.seq(), peek(&out).unwrap().seq), (seq, seq));
        *kinds.entry(parsed.kind().t().unwrap_or_default().to_owned()).or_default() += 1;
    }
    for (kind, count) in log.counts() {
        let expected = u64::from(ALL_KINDS.rate(kind)) * 20_000 / 1_000_000;
        // Of an account's steps some can seldom be done.
        let least = if kind == ActKind::Account { expected / 3 } else { expected / 2 };
        assert!((least..expected * 2 + 1).contains(&count) && count > 0, "{kind}: {count} of {expected}");
    }
    for (kind, t) in [
        (ActKind::Sync, "#sync"),
        (ActKind::Handle, "#handle"),
        (ActKind::Migrate, "#migrate"),
        (ActKind::Tombstone, "#tombstone"),
        (ActKind::Info, "#info"),
    ] {
        assert_eq!(kinds[t], log.count(kind), "{t}");
    }
}

#[test]
fn everything_at_once_is_accepted_and_repeats() {
    let config = Config { odd: ALL_KINDS, ..small(13) };
    let mut network = Network::new(config);
    let log = network.log();
    let (judge, frames) = judged_network(&mut network, 1_500);
    assert!(judge.breaks.len() > 3 && judge.count("sync ahead") > 1, "{:?}", judge.seen);
    let lost = log.entries().into_iter().filter(|entry| entry.act.kind() == ActKind::Lost);
    let lost: Vec<_> = lost.map(|entry| (entry.seq.unwrap(), entry.did.unwrap())).collect();
    assert_eq!(judge.breaks, lost);

    // From another thread, as a relay has it.
    let again = Network::new(config);
    let log_again = again.log();
    let frames_again = std::thread::spawn(move || again.take(1_500).collect::<Vec<_>>()).join().unwrap();
    assert!(frames == frames_again, "the same seed gives the same bytes");
    assert_eq!(log.entries(), log_again.entries());
}

#[test]
fn a_network_of_one_goes_on_whatever_becomes_of_it() {
    for act in Act::ALL {
        let mut network =
            Network::new(Config { accounts: 1, ..Config::default() }).script([(5, act), (9, Act::Tombstone)]);
        let mut judge = Judge::new(network.accounts());
        let frames: Vec<_> = network.by_ref().take(40).collect();
        frames.iter().for_each(|sent| judge.judge(sent));
        assert!(network.log().total() >= 1, "{act}");
        assert!(judge.count("#identity") >= 1, "an account that is gone can be asked about: {act}");
    }
}

fn any_odd() -> impl Strategy<Value = Odd> {
    let rates = proptest::collection::vec(prop_oneof![Just(0), 0..=1_000_000u32], ActKind::ALL.len());
    rates.prop_map(|rates| {
        let parts = ActKind::ALL.iter().zip(rates).map(|(kind, rate)| format!(" {kind} = {rate}"));
        parts.collect::<Vec<_>>().join(" ,").parse().expect("rates")
    })
}

fn any_script() -> impl Strategy<Value = Script> {
    proptest::collection::vec((1..u64::MAX, proptest::sample::select(Act::ALL.to_vec())), 0..20)
        .prop_map(|acts| acts.into_iter().collect())
}

proptest! {
    #[test]
    fn rates_are_read_as_they_are_written(odd in any_odd()) {
        let text = odd.to_string();
        prop_assert_eq!(text.parse::<Odd>(), Ok(odd));
        let named: HashMap<_, _> = text.split(',').filter_map(|part| part.split_once('=')).collect();
        for kind in ActKind::ALL {
            let rate = named.get(kind.as_str()).map_or(0, |rate| rate.parse().unwrap());
            prop_assert_eq!(rate, odd.rate(kind));
        }
    }

    #[test]
    fn scripts_are_read_as_they_are_written(script in any_script()) {
        let text = script.to_string();
        prop_assert_eq!(text.lines().count(), script.acts().len());
        prop_assert_eq!(text.parse::<Script>(), Ok(script));
    }

    #[test]
    fn no_text_is_too_odd_to_be_refused(text in ".{0,60}", line in "(at|on)? ?[0-9]{0,25} ?[a-z ]{0,20}#?") {
        drop((text.parse::<Odd>(), text.parse::<Script>(), text.parse::<Act>()));
        if let Ok(script) = line.parse::<Script>() {
            prop_assert!(script.acts().len() <= 1);
        }
    }
}
