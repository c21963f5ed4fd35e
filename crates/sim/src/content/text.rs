//! Texts with what is marked in them: sentences of a language, tags, mentions and links, and the facets that
//! name their bytes.

use skytide_atproto::cbor::Value;

use super::value::{int, list, map, text, typed};
use super::{Language, Scene};

/// A text and its facets.
#[derive(Debug, Default)]
pub(super) struct Marked {
    pub(super) text: String,
    facets: Vec<Value>,
}

impl Marked {
    /// Some sentences of a language, at most 300 characters in all.
    pub(super) fn sentences(language: &Language, scene: &mut Scene<'_>) -> Self {
        const LONGEST: usize = 240;
        let mut marked = Self::default();
        // Half are one sentence long, a quarter two, and so on.
        let count = 1 + scene.chance.below(1 << 6).leading_zeros() - (64 - 6);
        for _ in 0..count {
            let Some(sentence) = scene.chance.pick(language.sentences) else { break };
            if marked.text.chars().count() + sentence.chars().count() > LONGEST {
                break;
            }
            if !marked.text.is_empty() {
                marked.text.push_str(language.between);
            }
            marked.text.push_str(sentence);
        }
        const SIGNS: [&str; 12] = ["😂", "✨", "❤️", "🔥", "🙏", "👀", "😭", "🎉", "🌊", "🦋", "👩‍💻", "🇧🇷"];
        if scene.chance.one_in_a_thousand(180)
            && let Some(sign) = scene.chance.pick(&SIGNS)
        {
            marked.text.push(' ');
            marked.text.push_str(sign);
        }
        marked
    }

    /// Appends a hashtag.
    pub(super) fn tag(&mut self, tag: &str) {
        let feature = typed("app.bsky.richtext.facet#tag", [("tag", text(tag))]);
        self.mark(&format!("#{tag}"), Value::Map(feature));
    }

    /// Appends a mention.
    pub(super) fn mention(&mut self, did: &str, handle: &str) {
        let feature = typed("app.bsky.richtext.facet#mention", [("did", text(did))]);
        self.mark(&format!("@{handle}"), Value::Map(feature));
    }

    /// Appends a link as clients show it: without scheme, cut short.
    pub(super) fn link(&mut self, uri: &str) {
        let feature = typed("app.bsky.richtext.facet#link", [("uri", text(uri))]);
        let bare = uri.trim_start_matches("https://");
        let shown: String = bare.chars().take(24).collect();
        let more = if shown.len() < bare.len() { "..." } else { "" };
        self.mark(&format!("{shown}{more}"), Value::Map(feature));
    }

    /// The facets; `None` where nothing is marked.
    pub(super) fn take_facets(&mut self) -> Option<Value> {
        (!self.facets.is_empty()).then(|| list(std::mem::take(&mut self.facets)))
    }

    fn mark(&mut self, shown: &str, feature: Value) {
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        let start = self.text.len();
        self.text.push_str(shown);
        let index = map([("byteStart", int(start as i64)), ("byteEnd", int(self.text.len() as i64))]);
        let facet = map([("index", Value::Map(index)), ("features", list([feature]))]);
        self.facets.push(Value::Map(facet));
    }
}
