"""What a text says about itself: that it is none, or how it rates the clip.

Both are told by form, never by a word alone: a refusal begins the text, speaks for the model and
names the task; a rating is a number that stands for a feeling. What is quoted or what the speaker
is reported to have said counts for neither, since people who are filmed refuse and rate all day.

These rules sort texts. They are no defence against texts that know the label: the leak gate is.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["WORDING", "declines", "rates"]

WORDING: Final = 2
"""Version of the rules; 1 looked for words wherever they stood, and took one text in two of those
that mention a rating or an "I can't"."""

_QUOTED: Final = re.compile(
    r"“[^”]*(?:”|$)|「[^」]*(?:」|$)|『[^』]*(?:』|$)|《[^》]*(?:》|$)|‘[^’]*(?:’\w[^’]*)*’(?!\w)"
    r"|\"[^\"]*\"|(?<!\w)'[^'\n]*(?:\w'\w[^'\n]*)*'(?!\w)"
)
_SENTENCE: Final = re.compile(r"[^.!?。！？\n]*(?:\.(?=\d)[^.!?。！？\n]*)*[.!?。！？\n]?")

_BEGINNING: Final = 400  # characters in which a refusal says what it is

# Refusals: an apology or the like, then who cannot do which of the things that were asked for.
_SORRY: Final = (
    r"(?:(?:I['’]?m|I am|we are)?\s*(?:so |very |really |truly )?(?:sorry|afraid)|(?:my )?apologies"
    r"|I apologi[sz]e|unfortunately|regrettably"
    r"|as an? [^.,]{0,40}(?:AI|model|assistant)[^.,]{0,20})"
)
_UNABLE: Final = (
    r"(?:cannot|can['’]?t|can not|could not|couldn['’]t|(?:am |['’]m )?(?:unable|not able) to"
    r"|(?:must|have to|will|would|['’]ll|['’]d)?(?: \w+)? ?(?:decline|refuse) to|won['’]t|will not"
    r"|(?:do not|don['’]t) (?:feel comfortable|have (?:the )?(?:ability|means|access)(?: to)?)"
    r"|am not (?:comfortable|permitted|allowed|designed)(?: to)?)"
)
_TASK: Final = (
    r"(?:assist|help(?! but\b)(?! \w+ing\b)|comply|describ\w*|analy[sz]\w*|provid\w*|process\w*"
    r"|access\w*|interpret\w*|assess\w*|evaluat\w*|respond|fulfil+|generat\w*|complet\w* th"
    r"|engag\w* (?:in|with)|offer|rewrit\w*|discuss th|answer (?:th|your|ques)"
    r"|(?:view|watch|listen to|open|play|see|hear|find) (?:the |this |that |your |an?y? )?"
    r"(?:provided |attached |actual )?(?:video|audio|clip|recording|image|picture|frame|file|sound)"
    r"|(?:identify|recogni[sz]e|infer)\w* (?:people|persons?|individuals?|anyone|who|the (?:person|"
    r"individual|people|identity)|faces|real|emotions? from)"
    r"|(?:do|continue with) (?:that|this|so)\b(?=\W*$|[.,!]| for you))"
)
_POLICY: Final = (
    r"[^.]{0,60}\b(?:against|violat\w*|not (?:in line|allowed)|outside)\b[^.]{0,30}"
    r"\b(?:polic\w*|guidelines?|rules?|terms|programming|capabilit\w*)"
)
_REFUSAL_EN: Final = re.compile(
    rf"\W*(?:{_SORRY}\W*(?:(?:but|that|as|for|about)\b[^.,]{{0,30}}?[,.]?)?\s*)?"
    rf"(?:I\s*(?:\w+ly |just |do )?{_UNABLE}\W+(?:\w+ly |really |directly |to |be able to )*{_TASK}"
    rf"|unable to {_TASK}|(?:this|your|the|that) (?:request|task|content|question){_POLICY})",
    re.IGNORECASE,
)
_WHOLE_EN: Final = re.compile(
    r"\W*(?:(?:I|we)\s*)?(?:am |['’]m )?(?:unable to|cannot|can['’]t|could not|impossible to)"
    r"(?: be)? (?:determined?|tell|say|judged?|identif\w+|decide)[^.!?]{0,12}\W*"
    r"|\W*(?:I['’]?m|I am)?\s*(?:so |very |really )?sorry[^\w.!?]{0,4}(?:about that)?\W*",
    re.IGNORECASE,
)
_REFUSAL_ZH: Final = re.compile(
    r"\W*(?:(?:非常|很|十分|真的?|实在)?(?:抱歉|对不起|不好意思|遗憾)[^。！？]{0,8}?[，,、：\s]*(?:但是?)?)?"
    r"(?:作为(?:一个|一名|一款)?[^，,。]{0,16}[，,\s]*)?(?:我|本模型|本助手|我们)?"
    r"(?:目前|暂时|现在|实在|并|还)?(?:无法|不能够?|不可以|拒绝|没有?办法|不便|难以)"
    r"(?:直接|准确|继续|真正|为[您你]|帮[您你]|对[^。，]{1,12}?(?:进行|作出|做出)|进行|给您)*"
    r"(?:分析|描述|评估|提供|回答|回应|处理|查看|观看|访问|协助|帮助|完成|生成|满足|解释|讨论|执行|改写"
    r"|(?:看到?|听到?|打开|播放|收听)(?:这段|该|此|任何|您的?|你的?)?(?:视频|音频|录音|图片|图像|画面|文件)"
    r"|(?:识别|辨认|确认)(?:人物|身份|他人|任何人|图中|视频中))"
)
_WHOLE_ZH: Final = re.compile(
    r"\W*(?:抱歉|对不起|很遗憾)?[，,\s]*我?(?:无法|不能)(?:判断|确定|识别|得知)[^，,。]{0,10}\W*"
)

# Ratings: a number that ends its phrase, and a feeling or a rater that it belongs to.
_YEAR: Final = r"(?:1[5-9]|20)\d\d"
_NUMBER: Final = rf"(?<![\w.)-])[-+\N{{MINUS SIGN}}]?(?!{_YEAR}(?!\d))\d+(?:\.\d+)?(?![.\w:-]*\d)"
_FEELING: Final = (
    r"(?:sentiments?|emotions?|emotional|feelings?|moods?|valence|arousal|intensity|polarity|scale"
    r"|positiv\w+|negativ\w+|neutral|confidence|certainty|levels?|happiness|sadness|anger|joy|fear)"
)
_ENDS: Final = (
    r"\s*%?(?=\s*(?:$|[.,;:!?)\]/]|out of\b|of (?:3|5|7|10|100)\b|on (?:a|the)\b|here\b|overall\b"
    r"|to [-+\N{MINUS SIGN}]?\d|points?\b|percent\b|(?:for|in) (?:sentiment|emotion|intensity)"
    r"|(?:positive|negative|neutral|confident|certain|sure)\b))"
)
_OF_TOP: Final = (  # no more than the top: 24/7 is none
    r"(?:\d(?:\.\d+)?\s*(?:/|out of)\s*(?:3|5|7|10)|10\s*(?:/|out of)\s*10"
    r"|\d{1,2}(?:\.\d+)?\s*(?:/|out of)\s*100)"
    r"(?![\w/.]*\d)(?=\s*(?:$|[.,;:!?)]|for\b|on\b|in\b))"
)
_SCORED: Final = r"(?:scores?|ratings?)\s*(?:is|was|of|at|=|:|would be|about|around|\s)+\s*"
_RATING_EN: Final = re.compile(
    rf"\b{_FEELING}\b(?![’']s)[^;\n]{{0,28}}?{_NUMBER}{_ENDS}"
    rf"|\b{_SCORED}{_NUMBER}{_ENDS}"
    rf"|\b(?:I|we)(?:['’]d| would| will)?(?: \w+)? (?:rate|score|give|estimate)\b"
    rf"[^;\n]{{0,30}}?{_NUMBER}{_ENDS}"
    rf"|(?<![\w.)])[-+\N{{MINUS SIGN}}]\d+(?:\.\d+)?{_ENDS}"
    rf"|(?<![\w/.]){_OF_TOP}"
    r"|\b\d+(?:\.\d+)?\s?(?:%|percent)"
    r" (?:positive|negative|neutral|confident|certain|sure|happy|sad)\b",
    re.IGNORECASE,
)
_COUNTED: Final = r"(?!\s*(?:分[钟之球]|[秒年月日个人次句岁种位遍声点%％]|多?个))"
_RATING_ZH: Final = re.compile(
    rf"(?:情感|情绪|强度|极性|置信度|积极性|积极程度|消极程度|倾向)(?:[^。；，\n]{{0,8}}?)"
    rf"[-+\N{{MINUS SIGN}}]?(?:\d+(?:\.\d+)?\s*[%％]"
    rf"|(?!{_YEAR})\d+(?:\.\d+)?(?![\d.]){_COUNTED})"
    r"|^\W*(?:评分|得分|打分|分数)[^。；，\n]{0,6}?\d"
    r"|(?:我会?|^\W*|[，；]\s*)(?:给|打|评)(?:出|为|了|这段|视频|打){0,3}\s*\d+(?:\.\d+)?\s*分(?![钟之球])"
    r"|\d+(?:\.\d+)?\s*[%％]的?(?:积极|消极|正面|负面|中性|把握|确定)"
)
_REPORTED: Final = re.compile(
    r"\b(?:speaker|reviewer|narrator|host|man|woman|person|he|she|they|critics?|who)\b(?: \w+)?"
    r" (?:gives?|gave|giving|rates?|rated|says?|said|scores?|scored|awards?|calls?|mentions?"
    r"|thinks?)\b"
    r"|(?:说话人|主持人|他们?|她们?|女子|男子|观众)[^。，；]{0,8}(?:给|打|评|说)",
    re.IGNORECASE,
)


def declines(text: str) -> bool:
    r"""Whether the text is no text but says that there will be none.

    Example:
        >>> declines("I'm sorry, but I can't help with identifying people.")
        True
        >>> declines('The speaker says "I can\'t wait" and laughs.')
        False
    """
    told = _QUOTED.sub(" … ", text[:_BEGINNING]).strip()
    if _REFUSAL_EN.match(told) or _REFUSAL_ZH.match(told):
        return True
    return bool(_WHOLE_EN.fullmatch(told) or _WHOLE_ZH.fullmatch(told))


def rates(text: str) -> bool:
    """Whether the text puts a number on what is felt.

    Example:
        >>> rates("Sentiment score: 2.4"), rates("A film rated PG-13, at a 90% discount.")
        (True, False)
    """
    told = _QUOTED.sub(" … ", text)
    return any(
        _RATING_EN.search(sentence) or _RATING_ZH.search(sentence)
        for sentence in map(str.strip, _SENTENCE.findall(told))
        if sentence and not _REPORTED.search(sentence)
    )
