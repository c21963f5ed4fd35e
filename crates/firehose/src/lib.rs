//! firehose
