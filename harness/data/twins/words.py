"""What the speakers of twins can say: small English and Chinese vocabularies with valences.

Entries are written as words separated by spaces; Chinese is joined without them. ``*`` marks where
a frame takes its topic, ``#`` where it takes its claim.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["CLUES", "ENGLISH", "LEVELS", "MANDARIN", "Lexicon"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Lexicon:
    """One language of the twins."""

    valences: Mapping[str, float]
    """Opinion words, valence in [-1, 1]."""
    intensifiers: Mapping[str, float]
    """Words before an opinion word that multiply its valence."""
    negation: str
    """Word before an opinion word that turns it round, and weakens it."""
    topics: tuple[str, ...]
    frames: tuple[str, ...]
    short_frames: tuple[str, ...]
    """Frames for utterances of a few words."""
    remarks: tuple[str, ...]
    """Neutral clauses."""
    fillers: tuple[str, ...]
    agreeing: tuple[str, ...]
    """Connectives between claims of one sign."""
    opposing: tuple[str, ...]
    """Connectives between claims of opposite sign."""
    space: str
    """Between words."""
    comma: str
    """Between clauses."""
    counts_characters: bool
    """Whether length is counted in characters rather than words."""


# fmt: off
ENGLISH = Lexicon(
    valences={
        "perfect": 1.0, "wonderful": 0.95, "brilliant": 0.92, "amazing": 0.9, "fantastic": 0.9,
        "excellent": 0.86, "delightful": 0.78, "beautiful": 0.74, "great": 0.72, "impressive": 0.67,
        "lovely": 0.64, "charming": 0.6, "enjoyable": 0.56, "touching": 0.52, "clever": 0.5,
        "funny": 0.48, "good": 0.46, "nice": 0.42, "pleasant": 0.39, "fresh": 0.36, "solid": 0.32,
        "interesting": 0.29, "likeable": 0.26, "decent": 0.22, "fine": 0.18, "watchable": 0.13,
        "okay": 0.08, "simple": 0.04, "typical": 0.0, "ordinary": -0.03, "average": -0.06,
        "long": -0.1, "odd": -0.14, "slow": -0.2, "predictable": -0.24, "silly": -0.28,
        "forgettable": -0.32, "flat": -0.35, "bland": -0.38, "weak": -0.41, "clumsy": -0.44,
        "messy": -0.46, "dull": -0.48, "confusing": -0.5, "boring": -0.53, "lazy": -0.55,
        "annoying": -0.57, "poor": -0.59, "bad": -0.61, "ridiculous": -0.63,
        "disappointing": -0.66, "stupid": -0.69, "painful": -0.72, "ugly": -0.74, "pathetic": -0.8,
        "awful": -0.86, "terrible": -0.9, "horrible": -0.92, "disgusting": -0.95, "worthless": -1.0,
    },
    intensifiers={
        "slightly": 0.45, "somewhat": 0.6, "fairly": 0.75, "quite": 0.9, "pretty": 0.85,
        "really": 1.2, "very": 1.3, "so": 1.35, "absolutely": 1.45, "extremely": 1.5,
    },
    negation="not",
    topics=(
        "movie", "story", "plot", "acting", "ending", "music", "cast", "script", "dialogue",
        "humor", "camera work", "pacing", "opening", "villain", "hero", "scenery", "animation",
        "sound", "speech", "message", "product", "service", "book", "interview", "price",
    ),
    frames=(
        "the * was #", "i thought the * was #", "the * felt #", "to me the * was #",
        "i found the * #", "honestly the * seemed #", "you could say the * was #",
        "my friends said the * is #", "for its time the * is #", "this time the * looked #",
    ),
    short_frames=("it was #", "the * was #", "#", "it is #", "that is #", "# *"),
    remarks=(
        "i watched it last weekend", "we went there with my brother", "it came out this summer",
        "it runs for about two hours", "i have read the book before", "they filmed it in the city",
        "there is a scene on a train", "this is the second part", "he plays a young teacher",
        "she moves back to her home town", "i heard about it from a neighbor",
        "we talked about it afterwards", "you can find it online",
    ),
    fillers=("um", "uh", "well", "you know", "i mean", "anyway", "okay so", "let me see"),
    agreeing=("and", "also", "and then"),
    opposing=("but", "although", "then again"),
    space=" ",
    comma=", ",
    counts_characters=False,
)

MANDARIN = Lexicon(
    valences={
        "完美": 1.0, "精彩": 0.92, "出色": 0.86, "优秀": 0.8, "幸福": 0.76, "精致": 0.7,
        "开心": 0.68, "感人": 0.62, "动人": 0.6, "漂亮": 0.58, "好看": 0.56, "有趣": 0.53,
        "可爱": 0.51, "聪明": 0.48, "温暖": 0.46, "真诚": 0.43, "舒服": 0.4, "轻松": 0.36,
        "稳重": 0.32, "自然": 0.28, "新鲜": 0.25, "认真": 0.22, "合适": 0.18, "清楚": 0.14,
        "整齐": 0.1, "简单": 0.05, "平常": 0.0, "普通": -0.04, "安静": 0.02, "严肃": -0.08,
        "奇怪": -0.16, "突然": -0.12, "平淡": -0.22, "老套": -0.28, "累": -0.3, "麻烦": -0.34,
        "拖沓": -0.37, "冷淡": -0.4, "沉闷": -0.43, "尴尬": -0.45, "可笑": -0.47, "混乱": -0.5,
        "敷衍": -0.52, "无聊": -0.54, "过分": -0.57, "难受": -0.6, "难看": -0.62, "伤心": -0.65,
        "离谱": -0.67, "痛苦": -0.7, "可怕": -0.72, "讨厌": -0.75, "丢人": -0.77, "愚蠢": -0.8,
        "可恶": -0.83, "糟糕": -0.87, "恶毒": -0.9, "恶心": -0.95, "绝望": -1.0,
    },
    intensifiers={
        "有点": 0.5, "比较": 0.7, "挺": 0.85, "很": 1.1, "真": 1.15, "实在": 1.2, "非常": 1.3,
        "特别": 1.35, "太": 1.4, "极其": 1.5,
    },
    negation="不",
    topics=(
        "剧情", "演员", "结局", "音乐", "电影", "故事", "画面", "台词", "节目", "导演", "主角",
        "房子", "工作", "婚礼", "老师", "孩子", "妈妈", "朋友", "衣服", "邻居", "老板", "气氛",
    ),
    frames=(
        "这个 * #", "我 觉得 * #", "今天 的 * #", "他 的 * #", "你 看 这个 * #", "他们 都 说 * #",
        "后来 的 * #", "我们 家 的 * #", "对 我 来说 * #", "那天 的 * #",
    ),
    short_frames=("#", "* #", "他 #", "这 #"),
    remarks=(
        "我们 昨天 刚 到 这里", "他 上 个 月 才 回来", "你 先 坐 一 会儿", "晚上 还有 一 集",
        "我 在 电视 上 看到 的", "那 是 很 久 以前 的 事", "她 现在 住 在 城里",
        "大家 都 在 门口 等 着", "明天 早上 再 说", "我 给 你 打 过 电话",
    ),
    fillers=("嗯", "那个", "其实", "就是", "你 知道", "怎么 说 呢"),
    agreeing=("而且", "再说", "并且"),
    opposing=("但是", "不过", "可是"),
    space="",
    comma="，",
    counts_characters=True,
)
# fmt: on

LEVELS = ("strongly negative", "negative", "neutral", "positive", "strongly positive")
"""Signal levels that explanations put into words."""

CLUES = {
    "audio_clue": (
        ("the voice trembles and breaks off", "the speaker shouts and spits the words out"),
        ("the tone is low and tired", "there is a sigh before almost every phrase"),
        ("the voice stays flat and even", "pitch and pace hardly change"),
        ("the tone is light and warm", "the voice lifts at the end of the phrase"),
        ("the speaker bursts out laughing", "the voice is loud, quick and thrilled"),
    ),
    "visual_clue": (
        ("the face is twisted in disgust", "tears and clenched teeth are plain to see"),
        ("the brows are drawn together", "the corners of the mouth point down"),
        ("the face shows no particular expression", "the speaker looks straight ahead, at rest"),
        ("a small smile plays around the mouth", "the speaker nods with friendly eyes"),
        ("the whole face beams", "a wide grin never leaves the face"),
    ),
    "summary": tuple(
        (f"overall the clip comes across as {level}", f"taken together, the feeling is {level}")
        for level in LEVELS
    ),
}
"""Explanation column -> level -> phrases."""
