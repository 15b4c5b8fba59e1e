# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Faulty bags are converted correctly, or raise an error that names what is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from smolvla_ros.dataset.alignment import AlignmentSettings
from smolvla_ros.dataset.bag import Bag, BagWriter, find_bags
from smolvla_ros.dataset.bag_mapping import BagMapping, JointTopic
from smolvla_ros.dataset.errors import BagError, DatasetError, EpisodeError, VideoError
from smolvla_ros.observation import NANOSECONDS

from ..sample_bags import LAG_NS, ROBOT, START_NS, conversion, header, image, joint_state, record, run


def shifted(bag, message, topic, by_ns):
    """The message with another header stamp."""
    stamp = message.header.stamp.sec * NANOSECONDS + message.header.stamp.nanosec + by_ns
    if topic == "/joint_states":
        return joint_state(bag, stamp, message.position)
    return bag.message(message.__msgtype__, header=header(bag, stamp), format="jpeg", data=message.data)


def replacing(name, make):
    """An edit that reindices the messages of topics with `name` by make(bag, message, receive_ns)."""
    return lambda bag, entries: [(t, make(bag, m, at) if name in t else m, at) for t, m, at in entries]


def without(topic):
    """An edit that leaves out a topic."""
    return lambda _, entries: [entry for entry in entries if entry[0] != topic]


def rows(bag, output, **changes):
    """The number of rows of the dataset that a bag becomes."""
    return len(run(conversion([bag], output, **changes)).frames(0).state)


def fails(path, words, error=EpisodeError, **changes):
    with pytest.raises(error, match=words):
        run(conversion([path], path.parent / "data", **changes))


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.97])
def test_truncated(bag, tmp_path, share):
    [file] = bag.glob("*.mcap")
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    fails(bag, "bag '.*' cannot be read: .* truncated or damaged", BagError)


@pytest.mark.parametrize("seed", range(8))
def test_flipped_bytes_raise_this_packages_errors(bag, tmp_path, seed):
    [file] = bag.glob("*.mcap")
    content, random = bytearray(file.read_bytes()), np.random.default_rng(seed)
    for index in random.integers(0, len(content), 40):
        content[index] ^= int(random.integers(1, 256))
    file.write_bytes(content)
    with pytest.raises((BagError, EpisodeError)):
        run(conversion([bag], tmp_path / "data"))


def test_without_metadata_the_storage_file_is_read(bag, tmp_path):
    (bag / "metadata.yaml").unlink()
    assert rows(bag, tmp_path / "data") == 31


def test_empty(tmp_path):
    fails(
        record(tmp_path / "bag", edit=lambda bag, entries: []),
        "no topic for any camera of the robot file.*no topics",
    )


def test_no_task(tmp_path):
    fails(record(tmp_path / "bag", edit=without("/active_task")), "has no task: .*use --task TEXT")


def test_a_task_that_only_the_user_published(tmp_path):
    def rename(bag, entries):
        # without messages
        bag._writer.add_connection("/active_task", "std_msgs/msg/String", typestore=bag._store)
        return [("/task" if t == "/active_task" else t, m, at) for t, m, at in entries]

    dataset = run(conversion([record(tmp_path / "bag", edit=rename)], tmp_path / "data"))
    assert dataset.tasks == ("Pick up the red cube",)


@pytest.mark.parametrize("topic, what", [("/joint_states", "the state"), ("/joint_commands", "the action")])
def test_missing_topic(tmp_path, topic, what):
    path = record(tmp_path / "bag", edit=without(topic))
    fails(path, f"no topic for {what}, expected {topic[1:]}; it has /active_task .*--{what.split()[1]} TOPIC")


def test_missing_camera_that_was_selected(bag):
    fails(
        bag,
        "no topic for camera 'side', expected side/image_raw/compressed",
        mapping=BagMapping(cameras={"side": None}),
    )


def test_leader_instead_of_commands(tmp_path):
    def rename(_, entries):
        return [("/leader/joint_states" if t == "/joint_commands" else t, m, at) for t, m, at in entries]

    path = record(tmp_path / "bag", edit=rename)
    dataset = run(
        conversion([path], tmp_path / "data", mapping=BagMapping(action=JointTopic("leader/joint_states")))
    )
    assert (dataset.frames(0).action[:, 0] != dataset.frames(0).state[:, 0]).all()


def test_stamps_slightly_out_of_order_are_sorted(tmp_path):
    def swap(_, entries):
        """Exchange neighbouring messages of each topic, with their stamps."""
        for topic in {entry[0] for entry in entries}:
            indices = [i for i, entry in enumerate(entries) if entry[0] == topic]
            for a, b in zip(indices[::2], indices[1::2], strict=False):
                entries[a], entries[b] = (
                    (topic, entries[b][1], entries[a][2]),
                    (topic, entries[a][1], entries[b][2]),
                )
        return entries

    straight = run(conversion([record(tmp_path / "straight")], tmp_path / "data")).frames(0)
    dataset = run(conversion([record(tmp_path / "swapped", edit=swap)], tmp_path / "other"))
    assert np.array_equal(dataset.frames(0).state, straight.state)
    greys = [round(float(picture.mean())) for picture in dataset.images(0, "camera1")]
    assert max(abs(grey - k) for k, grey in enumerate(greys)) <= 2


def test_shuffled_stamps(tmp_path):
    random = np.random.default_rng(0)

    def shuffle(bag, message, _):
        return shifted(bag, message, "/joint_states", int(random.integers(-3, 3) * 1e9))

    fails(
        record(tmp_path / "bag", edit=replacing("/joint_states", shuffle)),
        "/joint_states .*a clock jumped or the stamps are in wrong order.*receive",
    )


@pytest.mark.parametrize("jump_s", [-5, 5])
def test_clock_jump(tmp_path, jump_s):
    def jump(bag, message, at):
        topic = "/top/image_raw/compressed"
        return message if at <= START_NS + 500_000_000 else shifted(bag, message, topic, jump_s * NANOSECONDS)

    path = record(tmp_path / "bag", edit=replacing("/top/image_raw/compressed", jump))
    fails(path, "/top/image_raw/compressed .*a clock jumped")
    assert rows(path, tmp_path / "other", alignment=AlignmentSettings(30, "receive")) == 31


def test_empty_header_stamps(tmp_path):
    unset = replacing("/joint_states", lambda bag, message, _: joint_state(bag, 0, message.position))
    fails(record(tmp_path / "bag", edit=unset), "/joint_states .*empty header stamps; use --time receive")


def test_two_cameras_at_different_rates(tmp_path):
    dataset = run(
        conversion([record(tmp_path / "bag", cameras={"top": 30.0, "wrist": 10.0})], tmp_path / "data")
    )
    for key, rate_hz in (("camera1", 30), ("camera2", 10)):
        greys = [round(float(picture.mean())) for picture in dataset.images(0, key)]
        expected = [int(np.floor(k / 30 * rate_hz + 1e-6)) for k in range(31)]
        assert max(abs(grey - now) for grey, now in zip(greys, expected, strict=True)) <= 2


def test_a_gap_in_a_stream(tmp_path):
    def gap(_, entries):
        begin, end = START_NS + 300_000_000, START_NS + 800_000_000
        return [e for e in entries if e[0] != "/wrist/image_raw/compressed" or not begin < e[2] < end]

    path = record(tmp_path / "bag", edit=gap)
    fails(path, "/wrist/image_raw/compressed .* has no messages for 0.50 s, up to 0.77 s into .*--max-age")
    patient = AlignmentSettings(30, max_camera_age_s=1.0)
    assert rows(path, tmp_path / "other", alignment=patient) == 31


def test_streams_that_do_not_overlap(tmp_path):
    def early(bag, entries):
        return [
            (t, joint_state(bag, START_NS - 10**10 + i, m.position), START_NS - 10**10 + i)
            if t == "/joint_states"
            else (t, m, at)
            for i, (t, m, at) in enumerate(entries)
        ]

    fails(record(tmp_path / "bag", edit=early), "its streams do not overlap, .*/joint_states")


def test_changing_image_size(tmp_path):
    def grow(bag, message, at):
        return image(bag, at - LAG_NS, 9, (48, 64)) if at > START_NS + 500_000_000 else message

    path = record(tmp_path / "bag", edit=replacing("top", grow))
    fails(path, "/top/.* changes its size at image 15, from 32x24 to 64x48")


def test_bags_of_different_image_sizes(tmp_path):
    big = replacing("image", lambda bag, _, at: image(bag, at - LAG_NS, 9, (48, 64)))
    bags = [record(tmp_path / "small"), record(tmp_path / "big", edit=big)]
    with pytest.raises(DatasetError, match="one image size per camera"):
        run(conversion(bags, tmp_path / "data"))


def test_bags_of_different_cameras(tmp_path):
    bags = [record(tmp_path / "two"), record(tmp_path / "one", cameras={"top": 30.0})]
    with pytest.raises(
        DatasetError,
        match="'.*one' has the cameras top, bag '.*two' top, wrist; select cameras with --cameras",
    ):
        run(conversion(bags, tmp_path / "data"))


def test_odd_image_size(tmp_path):
    odd = replacing("image", lambda bag, _, at: image(bag, at - LAG_NS, 9, (25, 32)))
    fails(record(tmp_path / "bag", edit=odd), "32x25 .* must be even", VideoError)


def test_a_truncated_image(tmp_path):
    def cut(bag, message, _):
        return bag.message(message.__msgtype__, header=message.header, format="jpeg", data=message.data[:100])

    fails(record(tmp_path / "bag", edit=replacing("top", cut)), "/top/.*, image 0: JPEG image is truncated")


@pytest.mark.parametrize(
    "positions, words", [([0.0] * 5, "6 names and 5 values"), ([np.nan] + [0.0] * 5, "not finite")]
)
def test_invalid_joint_states(tmp_path, positions, words):
    invalid = replacing("/joint_states", lambda bag, _, at: joint_state(bag, at, positions))
    fails(record(tmp_path / "bag", edit=invalid), f"/joint_states .*message 0: .*{words}")


def test_a_topic_of_another_type(tmp_path):
    text = replacing("/joint_states", lambda bag, *_: bag.message("std_msgs/msg/String", data="?"))
    path = record(tmp_path / "bag", edit=text)
    message = "/joint_states .the state. is a std_msgs/msg/String, not a sensor_msgs/msg/JointState"
    fails(path, message)
    fails(path, message, alignment=AlignmentSettings(30, "receive"))


def test_a_camera_topic_of_another_type(bag, tmp_path):
    fails(
        bag,
        "/joint_states .camera 'top'. is a .*JointState, not a sensor_msgs/msg/CompressedImage or",
        mapping=BagMapping(cameras={"top": "/joint_states"}),
    )


def test_unknown_message_types_are_ignored(tmp_path):
    path = tmp_path / "bag"
    definition = "float64 x\nacme_msgs/Odd[] odd\n" + "=" * 80 + "\nMSG: acme_msgs/Odd\nuint8[3] y\n"

    def add_unknown(bag, entries):
        writer = bag._writer
        connection = writer.add_connection(
            "/strange", "acme_msgs/msg/Strange", msgdef=definition, rihs01="RIHS01_0"
        )
        writer.write(connection, START_NS, b"\x00\x01\x00\x00nonsense")
        return entries

    record(path, edit=add_unknown)
    assert rows(path, tmp_path / "data") == 31
    with (
        Bag(path) as bag,
        pytest.raises(BagError, match="/strange: message 0 is not a acme_msgs/msg/Strange"),
    ):
        next(bag.messages(["/strange"])).decode()


@pytest.mark.slow
def test_a_hundred_thousand_messages(tmp_path):
    bag = record(tmp_path / "bag", cameras={"top": 10.0}, joints_hz=50_000)
    assert rows(bag, tmp_path / "data", fps=10) == 11


def test_one_namespace_is_found_and_two_are_ambiguous(tmp_path):
    def name(_, entries):
        return [(f"/left{t}", m, at) for t, m, at in entries]

    def both(_, entries):
        return [(f"/{side}{t}", m, at) for t, m, at in entries for side in ("left", "right")]

    path = record(tmp_path / "bag", edit=name)
    assert rows(path, tmp_path / "data") == 31
    work = conversion([record(tmp_path / "two", edit=both)], tmp_path / "other")
    with pytest.raises(BagError, match="is ambiguous: /left/.*, /right/.*; give the full topic name"):
        run(work)


def test_raw_images_and_a_task_from_the_command_line(tmp_path):
    def raw(bag, entries):
        out = []
        for topic, message, at in entries:
            if topic == "/top/image_raw/compressed":
                pixels = np.full((24, 32, 3), 77, np.uint8)
                fields = {"height": 24, "width": 32, "encoding": "bgr8", "is_bigendian": 0, "step": 96}
                message = bag.message(
                    "sensor_msgs/msg/Image", header=message.header, **fields, data=pixels.ravel()
                )
                topic = "/top/image_raw"
            if topic != "/active_task":
                out.append((topic, message, at))
        return out

    path = record(tmp_path / "bag", edit=raw)
    dataset = run(conversion([path], tmp_path / "data", task="Wipe the table"))
    assert dataset.tasks == ("Wipe the table",)
    assert abs(next(dataset.images(0, "camera1")).mean() - 77) < 3


def test_find_bags_searches_folders(tmp_path):
    for name in ("b", "a"):
        with BagWriter(tmp_path / "day" / name):
            pass
    assert find_bags([tmp_path]) == [tmp_path / "day" / "a", tmp_path / "day" / "b"]
    (tmp_path / "nothing").mkdir()
    with pytest.raises(BagError, match="is not a bag and contains none"):
        find_bags([tmp_path / "nothing"])
    with pytest.raises(BagError, match="does not exist"):
        find_bags([tmp_path / "never"])


def test_joints_of_the_robot_file_are_required(tmp_path):
    def rename(bag, entries):
        for topic, message, _ in entries:
            if topic == "/joint_states":
                message.name[0] = "waist"
        return entries

    fails(record(tmp_path / "bag", edit=rename), f"joint states lack {ROBOT.joint_names[0]}; they have waist")


def test_joint_states_without_a_joint_whose_servo_did_not_answer_are_left_out(tmp_path):
    def silence(bag, entries):
        states = [message for topic, message, _ in entries if topic == "/joint_states"]
        for message in states[20:23]:
            message.name, message.position = message.name[1:], message.position[1:]
            message.velocity, message.effort = message.velocity[1:], message.effort[1:]
        return entries

    whole = run(conversion([record(tmp_path / "whole")], tmp_path / "a")).frames(0)
    part = run(conversion([record(tmp_path / "part", edit=silence)], tmp_path / "b")).frames(0)
    assert len(part.state) == len(whole.state)
    assert 0 < (part.state != whole.state).any(axis=1).sum() <= 3


@pytest.mark.parametrize(
    ("encoding", "bytes_per_pixel"), [("yuv422_yuy2", 2), ("nv12", 1.5), ("bayer_rggb8", 1)]
)
def test_encodings_of_other_cameras_are_converted(tmp_path, encoding, bytes_per_pixel):
    """Grey images, in the encodings that have colours apart."""

    def encode(bag, message, _):
        data = np.full(int(24 * 32 * bytes_per_pixel), 128, np.uint8)
        stride = 32 * max(1, int(bytes_per_pixel))
        return bag.message(
            "sensor_msgs/msg/Image",
            header=message.header,
            height=24,
            width=32,
            encoding=encoding,
            is_bigendian=0,
            step=stride,
            data=data,
        )

    path = record(
        tmp_path / "bag", cameras={"top": 10.0}, edit=replacing("/top/image_raw/compressed", encode)
    )
    dataset = run(conversion([path], tmp_path / "data", fps=10))
    expected = 128 if encoding.startswith("bayer") else 130  # video range: 1.164 * (128 - 16)
    assert all(np.abs(image.astype(int) - expected).max() <= 2 for image in dataset.images(0, "camera1"))
