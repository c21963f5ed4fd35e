//! The faults of a soak: every kind that loses nothing, by chance, and each at least once by script.

use std::time::Duration;

use skytide_sim::{ConnectFault, Fault, FaultKind, FaultRates, FaultScript, Faults, FrameFault};

/// So many faults fire by chance, about, as the relay tells of the latest 10,000 one by one.
const MOST: u64 = 4_000;

/// The most in a million of each kind.
const HIGHEST: u64 = 150;

/// Connects in a million that meet each kind.
const CONNECTS: u32 = 20_000;

/// Every fault of a soak, each as short as it can be: the time is better spent on events.
pub(crate) fn each() -> Vec<Fault> {
    let mut each = Vec::new();
    for kind in FaultKind::ALL {
        let brief = Duration::from_millis(150);
        each.push(match kind.fault() {
            Fault::Frame(FrameFault::Slow { .. }) => {
                Fault::Frame(FrameFault::Slow { bytes_per_second: 400_000, lasting: brief })
            }
            Fault::Frame(FrameFault::Stall { .. }) => {
                Fault::Frame(FrameFault::Stall { lasting: Some(brief) })
            }
            // These lose frames, or the meaning of cursors.
            Fault::Connect(ConnectFault::Gap { .. }) | Fault::Renumber => continue,
            // Only a Jetstream has it.
            Fault::Connect(ConnectFault::Seam { .. }) => continue,
            fault => fault,
        });
    }
    let answer =
        |status, retry_after, html| Fault::Connect(ConnectFault::Answer { status, retry_after, html });
    each.extend([answer(429, Some(0), false), answer(503, Some(1), true), answer(502, None, true)]);
    each
}

/// The faults of a soak of so many events, and more if they are wanted.
pub(crate) fn all(seed: u64, events: u64, more: &FaultRates) -> Faults {
    let each = each();
    let kinds = each.iter().filter(|fault| matches!(fault, Fault::Frame(_))).count() as u64;
    let per_million = (MOST * 1_000_000 / (events * kinds)).min(HIGHEST);
    let per_million = u32::try_from(per_million).unwrap_or(u32::MAX);
    // The first that is drawn fires: those that are wanted go before.
    let mut rates = more.clone();
    let mut script = FaultScript::default();
    let (mut frame, mut connection) = (0, 0);
    for fault in each {
        match fault {
            Fault::Frame(fault) => {
                frame += events / (kinds + 2);
                script = script.at(frame, fault.clone());
                rates = rates.frame(fault, per_million);
            }
            Fault::Connect(fault) => {
                // By then there is a cursor to come with.
                connection += 2;
                script = script.connect(connection + 1, fault.clone());
                rates = rates.connect(fault, CONNECTS);
            }
            Fault::Renumber => {}
        }
    }
    // A silence that only the client can end: few, as each takes until it gives up.
    for fifth in 1..5 {
        script = script.at(fifth * events / 5, FrameFault::Stall { lasting: None });
    }
    Faults::new(seed).rates(rates).script(script)
}
