"""From what a protocol says about its points to the data set that has them."""

from pydantic import ValidationError

from bench.data.dataset import DATASETS, DataSource
from bench.data.format import FORMATS, FormatSettings
from bench.data.official import data_folder
from bench.errors import ProtocolError
from bench.protocol.load import Protocol, problems
from bench.registry import unknown


def source_of(protocol: Protocol) -> DataSource:
    """Return the data set of a protocol: a registered one, or data of one's own in one of the formats.

    Reads lists of classes where a format has them, and no image.

    Raises:
        ProtocolError: if there is no such data set, or a setting of the format is wrong; with file, line and field.
        InputError: if a list is not what it should be, with its line.
    """
    data, origin = protocol.data, protocol.origin
    if data.dataset in FORMATS:
        found: DataSource = FORMATS[data.dataset].open(settings_of(protocol))
        return found
    if data.dataset not in DATASETS:
        raise ProtocolError(
            f"{origin.at('data', 'dataset')}: {unknown('data set', data.dataset, [*DATASETS, *FORMATS])}"
        )
    if data.settings:
        raise ProtocolError(
            f"{origin.at('data', 'settings')}: {data.dataset} takes no settings; they go with a format "
            f"({', '.join(FORMATS)})."
        )
    return DATASETS[data.dataset]


def settings_of(protocol: Protocol) -> FormatSettings:
    """Return what a protocol says about data in one of the formats.

    Raises:
        ProtocolError: if a setting is wrong; with file, line and field.
    """
    data, origin = protocol.data, protocol.origin
    home = {"home": origin.folder or data_folder()}
    try:
        return FORMATS[data.dataset].settings.model_validate(dict(data.settings), context=home)
    except ValidationError as error:
        raise ProtocolError(f"{'; '.join(problems(error, origin, ('data', 'settings')))}.") from None
