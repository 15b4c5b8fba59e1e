from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DescribeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Description(_message.Message):
    __slots__ = ("name", "digest", "image_keys", "image_size", "state_dim", "action_dim", "chunk_size", "state", "action", "tokenizer", "fps", "renames")
    class RenamesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    IMAGE_KEYS_FIELD_NUMBER: _ClassVar[int]
    IMAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    STATE_DIM_FIELD_NUMBER: _ClassVar[int]
    ACTION_DIM_FIELD_NUMBER: _ClassVar[int]
    CHUNK_SIZE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    TOKENIZER_FIELD_NUMBER: _ClassVar[int]
    FPS_FIELD_NUMBER: _ClassVar[int]
    RENAMES_FIELD_NUMBER: _ClassVar[int]
    name: str
    digest: str
    image_keys: _containers.RepeatedScalarFieldContainer[str]
    image_size: int
    state_dim: int
    action_dim: int
    chunk_size: int
    state: Statistics
    action: Statistics
    tokenizer: str
    fps: float
    renames: _containers.ScalarMap[str, str]
    def __init__(self, name: _Optional[str] = ..., digest: _Optional[str] = ..., image_keys: _Optional[_Iterable[str]] = ..., image_size: _Optional[int] = ..., state_dim: _Optional[int] = ..., action_dim: _Optional[int] = ..., chunk_size: _Optional[int] = ..., state: _Optional[_Union[Statistics, _Mapping]] = ..., action: _Optional[_Union[Statistics, _Mapping]] = ..., tokenizer: _Optional[str] = ..., fps: _Optional[float] = ..., renames: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Statistics(_message.Message):
    __slots__ = ("values", "source", "mode")
    class ValuesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Values
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Values, _Mapping]] = ...) -> None: ...
    VALUES_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    values: _containers.MessageMap[str, Values]
    source: str
    mode: str
    def __init__(self, values: _Optional[_Mapping[str, Values]] = ..., source: _Optional[str] = ..., mode: _Optional[str] = ...) -> None: ...

class Values(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, values: _Optional[_Iterable[float]] = ...) -> None: ...

class Observation(_message.Message):
    __slots__ = ("digest", "client", "images", "state", "task", "seed", "noise_scale", "continuation")
    class ImagesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: bytes
        def __init__(self, key: _Optional[str] = ..., value: _Optional[bytes] = ...) -> None: ...
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    NOISE_SCALE_FIELD_NUMBER: _ClassVar[int]
    CONTINUATION_FIELD_NUMBER: _ClassVar[int]
    digest: str
    client: str
    images: _containers.ScalarMap[str, bytes]
    state: _containers.RepeatedScalarFieldContainer[float]
    task: str
    seed: int
    noise_scale: float
    continuation: Continuation
    def __init__(self, digest: _Optional[str] = ..., client: _Optional[str] = ..., images: _Optional[_Mapping[str, bytes]] = ..., state: _Optional[_Iterable[float]] = ..., task: _Optional[str] = ..., seed: _Optional[int] = ..., noise_scale: _Optional[float] = ..., continuation: _Optional[_Union[Continuation, _Mapping]] = ...) -> None: ...

class Continuation(_message.Message):
    __slots__ = ("positions", "inference_delay", "execution_horizon", "schedule", "max_guidance_weight")
    POSITIONS_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_DELAY_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_HORIZON_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    MAX_GUIDANCE_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    positions: _containers.RepeatedScalarFieldContainer[float]
    inference_delay: int
    execution_horizon: int
    schedule: str
    max_guidance_weight: float
    def __init__(self, positions: _Optional[_Iterable[float]] = ..., inference_delay: _Optional[int] = ..., execution_horizon: _Optional[int] = ..., schedule: _Optional[str] = ..., max_guidance_weight: _Optional[float] = ...) -> None: ...

class Chunk(_message.Message):
    __slots__ = ("digest", "actions", "waiting_s", "inference_s", "together", "waiting")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    WAITING_S_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_S_FIELD_NUMBER: _ClassVar[int]
    TOGETHER_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    digest: str
    actions: _containers.RepeatedScalarFieldContainer[float]
    waiting_s: float
    inference_s: float
    together: int
    waiting: int
    def __init__(self, digest: _Optional[str] = ..., actions: _Optional[_Iterable[float]] = ..., waiting_s: _Optional[float] = ..., inference_s: _Optional[float] = ..., together: _Optional[int] = ..., waiting: _Optional[int] = ...) -> None: ...
