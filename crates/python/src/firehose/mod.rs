//! The firehose half: subscriptions, frames, messages, CARs and CIDs, for `skytide.firehose` and `skytide.atproto`.

mod car;
mod cid;
mod data;
mod errors;
mod frame;
mod message;
mod records;
mod session;

use pyo3::prelude::*;

pub(crate) use self::data::shared;
pub(crate) use self::frame::PyFrame;

/// Adds everything to the module.
pub(crate) fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<cid::PyCid>()?;
    module.add_class::<car::PyCar>()?;
    module.add_class::<car::Blocks>()?;
    module.add_class::<frame::PyHeader>()?;
    module.add_class::<PyFrame>()?;
    module.add_class::<message::RepoCommit>()?;
    module.add_class::<message::RepoOperation>()?;
    module.add_class::<message::RepoSync>()?;
    module.add_class::<message::Identity>()?;
    module.add_class::<message::Account>()?;
    module.add_class::<message::HandleUpdate>()?;
    module.add_class::<message::RepoMigrate>()?;
    module.add_class::<message::RepoTombstone>()?;
    module.add_class::<message::InfoMessage>()?;
    module.add_class::<message::LabelsInfo>()?;
    module.add_class::<message::ErrorMessage>()?;
    module.add_class::<message::PyLabel>()?;
    module.add_class::<message::PyLabels>()?;
    module.add_class::<message::SubscribeReposMessage>()?;
    module.add_class::<message::SubscribeLabelsMessage>()?;
    module.add_class::<session::Session>()?;
    module.add_class::<session::Frames>()?;
    module.add_class::<session::AsyncFrames>()?;
    module.add_function(wrap_pyfunction!(message::parse_subscribe_repos_message, module)?)?;
    module.add_function(wrap_pyfunction!(message::parse_subscribe_labels_message, module)?)?;
    module.add_function(wrap_pyfunction!(message::parse_message, module)?)?;
    module.add_function(wrap_pyfunction!(data::encode, module)?)?;
    module.add_function(wrap_pyfunction!(records::record_fields, module)?)?;
    module.add_function(wrap_pyfunction!(records::record_fits, module)?)
}
