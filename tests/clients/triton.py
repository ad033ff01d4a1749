"""tritonclient against a running server: `triton.py http://127.0.0.1:8080`.

Asks every model in both forms, bytes (what tritonclient does by default) and JSON, and expects the same answer.
"""

import sys

import numpy
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException


def tensor(name, values, datatype, binary):
    given = triton.InferInput(name, list(values.shape), datatype)
    given.set_data_from_numpy(values, binary_data=binary)
    return given


def text_inputs(binary):
    # [CLS] grey sofa [SEP], and [CLS] sofa [SEP] with one token of padding.
    ids = numpy.array([[101, 4462, 10682, 102], [101, 10682, 102, 0]], dtype=numpy.int64)
    mask = numpy.array([[1, 1, 1, 1], [1, 1, 1, 0]], dtype=numpy.int64)
    return [tensor("input_ids", ids, "INT64", binary), tensor("attention_mask", mask, "INT64", binary)]


def image_inputs(shape, binary):
    pixels = numpy.random.default_rng(7).integers(0, 256, size=(2, *shape), dtype=numpy.uint8)
    return [tensor("image", pixels, "UINT8", binary)]


def main(address):
    client = triton.InferenceServerClient(address.removeprefix("http://"))
    assert client.is_server_live() and client.is_server_ready()
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    for model in ["image", "text", "combined"]:
        assert client.is_model_ready(model)
        metadata = client.get_model_metadata(model)
        shapes = {given["name"]: given["shape"] for given in metadata["inputs"]}

        def inputs(binary):
            photos = image_inputs(shapes["image"][1:], binary) if "image" in shapes else []
            return photos + (text_inputs(binary) if "input_ids" in shapes else [])

        names = [output["name"] for output in metadata["outputs"]]
        as_bytes = client.infer(model, inputs(True), request_id="mine")
        assert as_bytes.get_response()["id"] == "mine"
        asked = [triton.InferRequestedOutput(name, binary_data=False) for name in names]
        as_json = client.infer(model, inputs(False), outputs=asked)
        for output in metadata["outputs"]:
            name = output["name"]
            found = as_bytes.as_numpy(name)
            assert found.shape == (2, *output["shape"][1:]), (model, name, found.shape)
            numpy.testing.assert_allclose(found, as_json.as_numpy(name), atol=1e-2, err_msg=f"{model} {name}")
        numpy.testing.assert_allclose(numpy.linalg.norm(as_bytes.as_numpy("embedding"), axis=1), 1, atol=1e-3)
        print(f"{model}: {', '.join(names)}")

    wrong = numpy.array([[101, 99999999, 102]], dtype=numpy.int64)
    try:
        client.infer("text", [tensor("input_ids", wrong, "INT64", True),
                              tensor("attention_mask", numpy.ones_like(wrong), "INT64", True)])
    except InferenceServerException as refusal:
        assert refusal.status() == "422" and "99999999 is no token" in refusal.message(), refusal
    else:
        raise AssertionError("a token that is not in the vocabulary was taken")


main(sys.argv[1])
