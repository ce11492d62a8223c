"""Which texts decline or rate: by what they are, not by a word in them."""

from __future__ import annotations

import pandas as pd
import pytest

from harness.tests.research import research_data
from mllm_eval.explain.wording import declines, rates

STAND = [
    'The speaker says "I can\'t wait to see it again" with a bright voice.',
    "说话人说“我不能接受”，语气激动。",
    "Sorry for the hero, she lowers her voice.",
    "The film is rated PG-13, and she laughs about it.",
    "He talks about a 90% discount with a grin.",
    "She praises the score by John Williams in 1977.",
    "I can't wait, he shouts, leaning forward.",
    "The speaker says I can't believe it and shakes her head.",
    "Nobody can be heard. I cannot hear a voice, only music.",
    "I cannot see the face clearly, but the hands move fast.",
    "I can't help but notice a broad smile.",
    "Unable to sit still, he rocks on his chair.",
    "Unable to hide a smile, she looks aside.",
    "Unfortunately for him, the joke falls flat and his voice drops.",
    "He sounds sorry and speaks slowly.",
    "I'm sorry, she says, and her voice breaks.",
    "She refuses to answer and turns away.",
    "He won't look at the camera; his jaw is tight.",
    "The man says 'I won't do that again' calmly.",
    "Her heart rate of 120 is mentioned in passing.",
    "9 out of 10 people would agree, he says.",
    "He counts to 3 and laughs.",
    "They won 4-2 and he cheers.",
    "A 5-star hotel, she says with irony.",
    "It is open 24/7, he explains evenly.",
    "It was -5 degrees that morning, he recalls.",
    "The speaker gives the film 4 out of 5.",
    "The 2 speakers smile. He pauses for 3 seconds.",
    "Her emotional 2010 speech is shown.",
    "She is positive about the 3 main actors.",
    "An R-rated comedy; his tone is dry.",
    "The scene of 1994 is described with warmth.",
    "He scored 3 goals, and his voice rises.",
    "He blinks 2 times, then his mood lifts.",
    "Interest rates of 5 percent worry him.",
    "他给电影打了 9 分，很兴奋。",
    "他考了100分，笑得很开心。",
    "前 3 分钟里她一直在笑。",
    "无法听到人声，只有音乐。",
    "他说无法接受这个结果，语气沉重。",
    "她不能理解，皱着眉头。",
    "对不起三个字说得很轻，她低下头。",
    "三分球进了，他大喊。",
    "90%的人都同意，他笑着说。",
    "她拒绝回答问题，转过头去。",
    "情绪在第2次停顿后变得低落。",
    "我不能接受，她喊道。",
    "Apologies come softly, with lowered eyes.",
    "I am afraid of spiders, he says with a nervous laugh.",
    "Her feelings shift within 2 seconds.",
    "The speaker looks at 2 people and frowns.",
    "As a model of calm, he speaks slowly.",
    "Feelings of 3 kinds follow each other.",
    "She can't stop laughing and her shoulders shake.",
    "I couldn't agree more, the man says with a firm nod.",
    "We cannot process grief alone, she adds, in tears.",
    "The voice says it cannot help anybody any more.",
    "An apology, flat and hurried, without eye contact.",
    "Sorry seems to be the hardest word; he sings it softly.",
    "The clip shows 3 people; one of them smiles.",
    "A score of violins plays while he weeps.",
    "He mentions that 70 percent of viewers liked it.",
    "The voice falls by 10 decibels at the end.",
    "Her tone rises at 0:42 and falls at 1:15.",
    "The 1/4 turn of the head suggests doubt.",
    "He gives a thumbs-up 2 seconds before the end.",
    "She is disappointed: the film, rated R, was not for children.",
    "Chapter 7 is called Fear; he reads it calmly.",
    "Levels of noise are high; 4 voices overlap.",
    "他说“对不起，我无法原谅你”，眼含泪水。",
    "我无法形容我的快乐，她笑着说。",
    "说话人摇头，表示不能同意。",
    "她买东西打了八折，很高兴。",
    "评论员说比赛得分是 3 比 2，语气兴奋。",
    "他等了 20 分钟，有些不耐烦。",
    "声音提高了 20%，显得激动。",
    "这部电影评分很高，她点头称赞。",
]
REFUSE = [
    "I'm sorry, but I can't help with identifying people.",
    "I'm sorry, I can't describe people.",
    "I cannot describe this video.",
    "I am unable to provide an analysis of this clip.",
    "I'm unable to view the video.",
    "Sorry, I can't assist with that.",
    "As an AI language model, I cannot analyze emotions.",
    "Unfortunately, I cannot access the audio file.",
    "I must decline to describe this person.",
    "I won't provide that description.",
    "I do not have the ability to listen to audio.",
    "I apologize, but I am not able to comply with this request.",
    "I can't identify the person in the image.",
    "Unable to determine.",
    "I'm sorry, but this request goes against our content policy.",
    "I don't feel comfortable describing this person.",
    "抱歉，我无法分析这段视频。",
    "对不起，我不能提供这样的描述。",
    "作为一个AI语言模型，我无法观看视频。",
    "很遗憾，无法分析该内容。",
    "我无法识别视频中的人。",
    "无法判断。",
    "非常抱歉，我目前无法对这段音频进行分析。",
    "I’m sorry, but I can’t help with that.",
    "I'm afraid I can't do that.",
    "I really cannot process this audio.",
    "I'm sorry, I am not able to analyze the emotions in this recording.",
    "I can't provide a description of a real person.",
    "I cannot fulfill this request.",
    "Sorry, but I'm unable to watch videos.",
    "I am not able to see the video you mention.",
    "My apologies, I cannot access this clip.",
    "As a text-based assistant, I can't listen to audio.",
    "I will not describe this individual.",
    "I have to decline to analyze this person.",
    "我不能描述真实人物的情绪。",
    "抱歉，作为AI助手，我不能查看图片。",
    "不好意思，我没有办法听到这段音频。",
    "对不起，我无法完成这个任务。",
    "我无法提供相关分析。",
]
RATE = [
    "The sentiment is about -1.4.",
    "The sentiment is about −2.",
    "I would rate this a solid 2.",
    "Positive, 8/10.",
    "Confidence is 90% here.",
    "Sentiment score: 2.4",
    "Certainly a +2.0.",
    "Score: 3",
    "Rating = 4.5",
    "The intensity is 7 out of 10.",
    "Strongly negative, around -3.",
    "I'd give it a 4 on the scale.",
    "She sounds 80% positive.",
    "Level 4 of 5.",
    "On a scale from 1 to 5, this is a 4.",
    "情感评分为 0.8。",
    "打 4 分，比较积极。",
    "情绪强度为 7。",
    "置信度90%。",
    "评分：8",
    "我会给这段视频打 3 分。",
    "情感倾向约为-0.6，偏消极。",
    "He is happy. Overall sentiment: +1.8.",
    "Emotion intensity 3.",
    "About -1.4, I think.",
    "Her voice is warm (sentiment 1.2).",
    "Sentiment: 0.6",
    "Polarity is -0.8, so rather negative.",
    "I would say the sentiment is 2.",
    "Valence 6.5, arousal 4.",
    "Rating: 7/10",
    "Score of 2.5 on the scale.",
    "The mood is negative (-2).",
    "I'd rate the emotion at 1.5.",
    "Overall I give it 3 points.",
    "95% confident that she is sad.",
    "情绪得分：-1.2",
    "强度约 0.7，偏负面。",
    "我给 2 分。",
    "得分 0.4。",
    "积极程度 80%。",
]


@pytest.mark.parametrize("text", STAND)
def test_what_is_quoted_reported_or_counted_stands(text):
    assert not declines(text)
    assert not rates(text)


@pytest.mark.parametrize("text", REFUSE)
def test_refusals_are_told(text):
    assert declines(text)


@pytest.mark.parametrize("text", RATE)
def test_ratings_are_told(text):
    assert rates(text)
    assert not declines(text)


def test_few_transcripts_read_as_refusals_or_ratings():
    """Texts about clips repeat their words: rules by a word alone threw away one in a hundred."""
    texts = pd.read_csv(research_data("mosei", "label.csv"), dtype=str)["text"].fillna("")
    assert sum(map(declines, texts)) <= 2
    assert sum(map(rates, texts)) <= 20


def test_of_two_thousand_real_texts_the_one_refusal_is_told():
    table = pd.read_csv(research_data("explanations", "mme_emotion_label_written.csv"), dtype=str)
    texts = table["audio_clue_label_conditioned"]
    (found,) = texts[texts.map(declines)]
    assert found.startswith("I'm sorry, but I cannot analyze the audio")
    assert not texts.map(rates).any(), "times in brackets are no ratings"
