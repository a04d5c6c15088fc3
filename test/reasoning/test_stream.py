"""An answer stream gives each piece once to a reader, and tells listeners of every change."""

import threading

from spatial_mllm_ros.reasoning.answer import AnswerStatus
from spatial_mllm_ros.reasoning.stream import AnswerStream


def test_reader_gets_pieces_said_before_and_after_it_began():
    stream = AnswerStream("id", "?")
    stream.say("a", 1)
    read = []
    reader = threading.Thread(target=lambda: read.extend(stream))
    reader.start()
    stream.say("b", 2)
    stream.say("", 3)  # half a character: no text yet
    stream.say("c", 4)
    stream.end(AnswerStatus.OK)
    reader.join(10)
    assert read == ["a", "b", "c"]
    assert stream.num_tokens == 4


def test_result_waits_no_longer_than_asked():
    assert AnswerStream("id", "?").result(timeout_s=0.01) is None


def test_first_end_counts():
    stream = AnswerStream("id", "?")
    assert stream.end(AnswerStatus.CANCELLED, "first")
    assert not stream.end(AnswerStatus.OK)
    assert stream.result().status == AnswerStatus.CANCELLED


def test_failure_keeps_text_only_where_it_means_something():
    for status, text in [(AnswerStatus.TIMEOUT, "said"), (AnswerStatus.INTERNAL_ERROR, "")]:
        stream = AnswerStream("id", "?")
        stream.say("said", 1)
        stream.end(status, "why")
        assert stream.result().text == text


def test_listener_hears_stages_pieces_and_the_end():
    stream, heard = AnswerStream("id", "?"), []
    stream.add_listener(lambda s: heard.append((s.stage, s.is_done)))
    stream.enter("prefill")
    stream.say("a", 1)
    stream.end(AnswerStatus.OK)
    assert heard == [("prefill", False), ("prefill", False), ("done", True)]


def test_listener_that_comes_late_hears_the_end():
    stream, heard = AnswerStream("id", "?"), []
    stream.end(AnswerStatus.OK)
    stream.add_listener(lambda s: heard.append(s.is_done))
    assert heard == [True]


def test_listener_that_fails_harms_nobody(caplog):
    stream, heard = AnswerStream("id", "?"), []
    stream.add_listener(lambda s: 1 / 0)
    stream.add_listener(heard.append)
    stream.end(AnswerStatus.OK)
    assert heard == [stream] and "listener" in caplog.text


def test_same_stage_again_is_no_change():
    stream, heard = AnswerStream("id", "?"), []
    stream.add_listener(heard.append)
    for _ in range(3):
        stream.enter("encoding")
    assert len(heard) == 1


def test_text_from_gives_what_is_new():
    stream = AnswerStream("id", "?")
    stream.say("a", 1)
    stream.say("b", 2)
    assert stream.text_from(0) == ("ab", 2)
    assert stream.text_from(2) == ("", 2)
