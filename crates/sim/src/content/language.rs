//! The languages of the network: how common each is, and a few sentences in it.

use crate::rng::Chance;

/// A language that accounts write in.
#[derive(Debug)]
pub(crate) struct Language {
    /// What clients put into `langs`.
    pub(crate) tag: &'static str,
    /// Accounts out of 10,000.
    weight: u64,
    /// What stands between two sentences.
    pub(super) between: &'static str,
    pub(super) sentences: &'static [&'static str],
    pub(super) tags: &'static [&'static str],
}

impl Language {
    /// A language, by how common it is.
    pub(crate) fn common(chance: &mut Chance) -> &'static Language {
        &LANGUAGES[chance.weighted(LANGUAGES.iter().map(|language| language.weight))]
    }
}

const LANGUAGES: [Language; 20] = [
    Language { tag: "en", weight: 4300, between: " ", sentences: ENGLISH, tags: ENGLISH_TAGS },
    Language { tag: "ja", weight: 1900, between: "", sentences: JAPANESE, tags: JAPANESE_TAGS },
    Language { tag: "pt", weight: 1000, between: " ", sentences: PORTUGUESE, tags: PORTUGUESE_TAGS },
    Language { tag: "de", weight: 620, between: " ", sentences: GERMAN, tags: GERMAN_TAGS },
    Language { tag: "es", weight: 480, between: " ", sentences: SPANISH, tags: SPANISH_TAGS },
    Language { tag: "en-US", weight: 300, between: " ", sentences: ENGLISH, tags: ENGLISH_TAGS },
    Language { tag: "fr", weight: 280, between: " ", sentences: FRENCH, tags: FRENCH_TAGS },
    Language { tag: "ko", weight: 220, between: " ", sentences: KOREAN, tags: KOREAN_TAGS },
    Language { tag: "tr", weight: 160, between: " ", sentences: TURKISH, tags: TURKISH_TAGS },
    Language { tag: "nl", weight: 140, between: " ", sentences: DUTCH, tags: &["voetbal", "fietsen"] },
    Language { tag: "it", weight: 120, between: " ", sentences: ITALIAN, tags: &["calcio", "cucina"] },
    Language { tag: "zh", weight: 100, between: "", sentences: CHINESE, tags: &["摄影", "日常"] },
    Language { tag: "pl", weight: 80, between: " ", sentences: POLISH, tags: &["polityka", "koty"] },
    Language {
        tag: "ru", weight: 70, between: " ", sentences: RUSSIAN, tags: &["котики", "музыка"]
    },
    Language { tag: "uk", weight: 60, between: " ", sentences: UKRAINIAN, tags: &["українською"] },
    Language { tag: "th", weight: 50, between: "", sentences: THAI, tags: &["แมว"] },
    Language { tag: "fi", weight: 40, between: " ", sentences: FINNISH, tags: &["sauna"] },
    Language { tag: "pt-BR", weight: 40, between: " ", sentences: PORTUGUESE, tags: PORTUGUESE_TAGS },
    Language { tag: "ar", weight: 20, between: " ", sentences: ARABIC, tags: &["قهوة"] },
    Language { tag: "he", weight: 20, between: " ", sentences: HEBREW, tags: &["ירושלים"] },
];

const ENGLISH: &[&str] = &[
    "Good morning!",
    "Just finished the last episode and I have so many questions.",
    "The cat has claimed my chair again.",
    "Does anyone have a recipe for bread that works in a small oven?",
    "I cannot believe this passed the vote.",
    "New paper out today, with a short thread below.",
    "It has been raining for nine days and the garden looks like a lake.",
    "This is your sign to drink some water.",
    "Hot take: the second album is better.",
    "Walked ten miles along the coast and saw two seals.",
    "Please read the whole article before you answer.",
    "My commission slots are open again, link in bio.",
    "What a match.",
    "Reminder that the library is free.",
    "I wrote about the history of the lighthouse for anyone who likes that sort of thing.",
    "Why is every form asking for a fax number?",
    "The train is late, so here is a picture of a bridge.",
    "Nobody told me that adulthood is mostly replying to emails.",
    "Thank you all for the kind words, it means a lot.",
    "Tonight's sky was something else.",
    "We shipped it.",
    "If you see this, post a bird.",
];
const ENGLISH_TAGS: &[&str] =
    &["art", "birds", "caturday", "NowPlaying", "photography", "booksky", "gamedev"];

const JAPANESE: &[&str] = &[
    "おはようございます。",
    "今日は一日中雨だった。",
    "新しい絵を描きました!",
    "お昼ごはんは冷やし中華にした。",
    "ねむい……",
    "来週のイベントに参加します、よろしくお願いします。",
    "このアニメの最終回、泣いてしまった。",
    "猫がキーボードの上で寝ている。",
    "やっと金曜日だ〜",
    "昨日の試合すごかったね。",
    "新刊の表紙ができました。",
    "電車が遅れているので、ホームで空を撮った。",
    "コーヒーを淹れて作業を始めます。",
    "フォロワーさんの作品がいつも素敵すぎる。",
    "それは本当にそう。",
    "暑すぎて溶けそう",
];
const JAPANESE_TAGS: &[&str] = &["イラスト", "創作", "青空ごはん部", "今日の空", "お絵描き"];

const PORTUGUESE: &[&str] = &[
    "Bom dia, gente!",
    "Hoje o café ficou perfeito.",
    "Alguém mais acordou com essa chuva?",
    "Não acredito que já é sexta-feira.",
    "Que jogo foi esse, meu Deus.",
    "Terminei o livro e agora não sei o que fazer da vida.",
    "A gata derrubou a planta de novo.",
    "Saudade da praia.",
    "Preciso de férias urgentemente.",
    "O episódio de ontem me destruiu.",
    "Amanhã tem prova e eu aqui vendo vídeo de capivara.",
    "Essa música não sai da minha cabeça.",
];
const PORTUGUESE_TAGS: &[&str] = &["futebol", "música", "bolhadev", "BBB"];

const GERMAN: &[&str] = &[
    "Guten Morgen zusammen.",
    "Der Zug hat wieder 40 Minuten Verspätung.",
    "Ich habe heute zum ersten Mal Brot gebacken, und es schmeckt sogar.",
    "Das ist keine Meinung, das ist einfach falsch.",
    "Schönes Wochenende!",
    "Wer kennt gute Podcasts über Geschichte?",
    "Die Katze schläft auf den Steuerunterlagen.",
    "Endlich Regen.",
    "Kann mir jemand erklären, warum das beschlossen wurde?",
    "Heute im Museum gewesen, große Empfehlung.",
];
const GERMAN_TAGS: &[&str] = &["Tatort", "Bundestag", "Fotografie", "Fahrrad"];

const SPANISH: &[&str] = &[
    "¡Buenos días!",
    "No me puedo creer lo que acabo de ver.",
    "Hoy toca tortilla para cenar.",
    "¿Alguien sabe si mañana hay huelga de trenes?",
    "Qué partidazo.",
    "El gato ha vuelto a tirar el vaso.",
    "Acabo de terminar la serie y necesito hablar de ello.",
    "Feliz viernes a todo el mundo.",
    "Hace un calor insoportable.",
    "Gracias por todo el apoyo de estos días.",
];
const SPANISH_TAGS: &[&str] = &["fútbol", "libros", "FelizViernes"];

const FRENCH: &[&str] = &[
    "Bonjour à tous !",
    "Quelqu'un a vu le match hier soir ?",
    "Le train est encore en retard.",
    "J'ai enfin fini ce roman, je vous le conseille.",
    "Le chat dort sur mes dossiers.",
    "C'est l'heure du café.",
    "Bon week-end !",
    "Je ne comprends pas cette décision.",
];
const FRENCH_TAGS: &[&str] = &["lecture", "cinéma", "vélo"];

const KOREAN: &[&str] = &[
    "좋은 아침이에요.",
    "오늘 점심은 냉면이었다.",
    "고양이가 또 의자를 차지했어요.",
    "새 그림 올립니다!",
    "너무 졸리다...",
    "어제 경기 정말 대단했어요.",
    "주말에 뭐 하세요?",
    "비가 하루 종일 온다.",
];
const KOREAN_TAGS: &[&str] = &["그림", "일상", "고양이"];

const TURKISH: &[&str] = &[
    "Günaydın herkese.",
    "Bugün hava çok güzel.",
    "Bu kararı kim aldı acaba?",
    "Kedi yine klavyenin üstünde uyuyor.",
    "Çay demlendi, buyurun.",
    "Maç inanılmazdı.",
    "Yeni bölümü izleyen var mı?",
];
const TURKISH_TAGS: &[&str] = &["kedi", "gündem"];

const DUTCH: &[&str] = &[
    "Goedemorgen allemaal.",
    "De trein rijdt weer eens niet.",
    "Wat een prachtige zonsondergang vanavond.",
    "Ik snap echt niets van dit besluit.",
    "Fijn weekend!",
];
const ITALIAN: &[&str] = &[
    "Buongiorno a tutti!",
    "Oggi piove di nuovo.",
    "Ho appena finito il libro, bellissimo.",
    "Il gatto dorme sul computer.",
    "Che partita!",
];
const CHINESE: &[&str] =
    &["早上好。", "今天一直在下雨。", "猫又睡在键盘上了。", "周末去爬山,风景很美。", "这本书值得一读。"];
const POLISH: &[&str] = &[
    "Dzień dobry!",
    "Pociąg znowu się spóźnia.",
    "Kot śpi na klawiaturze.",
    "Kto to przegłosował?",
    "Miłego weekendu.",
];
const RUSSIAN: &[&str] = &[
    "Доброе утро!",
    "Кот опять спит на клавиатуре.",
    "Весь день идёт дождь.",
    "Посоветуйте хорошую книгу.",
    "Наконец-то пятница.",
];
const UKRAINIAN: &[&str] =
    &["Доброго ранку!", "Дякую всім за підтримку.", "Сьогодні дуже гарне небо.", "Кіт знову на столі."];
const THAI: &[&str] = &["สวัสดีตอนเช้า", "วันนี้ฝนตกทั้งวันเลย", "แมวนอนบนคีย์บอร์ดอีกแล้ว", "กาแฟแก้วแรกของวัน"];
const FINNISH: &[&str] =
    &["Hyvää huomenta!", "Juna on taas myöhässä.", "Sauna lämpiää.", "Kissa nukkuu näppäimistöllä."];
const ARABIC: &[&str] = &["صباح الخير!", "المطر لا يتوقف اليوم.", "انتهيت من قراءة الكتاب.", "القهوة جاهزة."];
const HEBREW: &[&str] = &["בוקר טוב!", "החתול שוב ישן על המקלדת.", "איזה משחק.", "סוף שבוע נעים."];
