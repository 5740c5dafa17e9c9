"""Every error that this project raises on purpose.

    AnomalystError
    ├── InputError             what the user gave cannot be used
    │   ├── AssetError         a file that cannot be read as a part
    │   ├── ProductError       a product folder that is missing or does not validate
    │   └── RequestError       a request that contradicts itself or an earlier one
    ├── StoreError             a folder of ours cannot be written or holds damaged content
    ├── FittedPartError        learned parts that do not belong to this product or backbone
    ├── ToolArgumentError      a model called a tool with an argument that makes no sense
    └── ToolFailure            an instrument could not do its work on this part

Three fates: a `ToolArgumentError` goes back to the model, a `ToolFailure` becomes recorded evidence and the
inspection goes on to `review`, and anything outside this tree is a bug of ours and crashes. Every message is one
sentence that says what, where, and how to mend it.
"""


class AnomalystError(Exception):
    """Root of all errors raised on purpose."""


class InputError(AnomalystError):
    """What the user gave cannot be used; the message says how to mend it."""


class AssetError(InputError):
    """A file cannot be read as a part: missing, damaged, too large, or of another kind."""


class ProductError(InputError):
    """A product folder is missing or does not validate; names the file, the field and what was expected."""


class RequestError(InputError):
    """A request contradicts itself or the thread it names."""


class StoreError(AnomalystError):
    """A folder of ours cannot be written, or holds content that does not match its name."""


class FittedPartError(AnomalystError):
    """Learned parts (memory, calibration) do not belong to this product, backbone or version."""


class ToolArgumentError(AnomalystError):
    """A model called a tool with an argument that makes no sense; the text is sent back to the model."""


class ToolFailure(AnomalystError):
    """An instrument could not do its work on this part; recorded as evidence, never hidden."""
