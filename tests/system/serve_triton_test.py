#!/usr/bin/env python3
"""Triton's own client (PyPI: tritonclient[http]) talks to `asmlp serve`. Exit code 77 where it is
missing. Argument: the command asmlp."""

import sys

from serve_common import CLASSIFIER, DETECTOR, PHOTOS, SCENE, Server

SKIPPED = 77


def main():
    try:
        import numpy as np
        import tritonclient.http as triton
    except ImportError as missing:
        print(f"skipped: {missing}; pip install 'tritonclient[http]'")
        return SKIPPED
    with Server(sys.argv[1], models=[CLASSIFIER, f"det={DETECTOR}"]) as server:
        client = triton.InferenceServerClient(f"127.0.0.1:{server.port}")
        name = CLASSIFIER.stem
        assert client.is_server_live() and client.is_server_ready()
        assert client.is_model_ready(name) and client.is_model_ready(name, "1")
        assert not client.is_model_ready("none")
        assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
        metadata = client.get_model_metadata(name)
        assert [i["name"] for i in metadata["inputs"]] == ["image", "input"], metadata

        picture = (PHOTOS / "rocket.jpg").read_bytes()
        wanted = server.post("/v1/predict?topk=10", picture).json()["images"][0]["predictions"]
        wanted = {p["index"]: p["prob"] for p in wanted}
        tensor = np.linspace(-2, 2, 2 * 3 * 128 * 128, dtype=np.float32).reshape(2, 3, 128, 128)
        logits = {}
        for binary in (True, False):
            if binary:  # raw bytes have no place in JSON
                image = triton.InferInput("image", [1], "BYTES")
                image.set_data_from_numpy(np.array([picture], dtype=object), binary_data=True)
                result = client.infer(name, [image], request_id="r1")
                assert result.get_response()["id"] == "r1"
                found = result.as_numpy("probabilities")
                assert found.shape == (1, 10) and found.dtype == np.float32
                assert {k: float(v) for k, v in enumerate(found[0])} == wanted
            data = triton.InferInput("input", list(tensor.shape), "FP32")
            data.set_data_from_numpy(tensor, binary_data=binary)
            output = triton.InferRequestedOutput("logits", binary_data=binary)
            logits[binary] = client.infer(name, [data], outputs=[output]).as_numpy("logits")
        assert logits[True].shape == (2, 10)
        assert (logits[True] == logits[False]).all(), "binary and JSON agree to the bit"

        classes = triton.InferRequestedOutput("probabilities", class_count=3)
        result = client.infer(name, [image], outputs=[classes]).as_numpy("probabilities")
        value, index, _ = result[0][0].decode().split(":")
        assert float(np.float32(value)) == wanted[int(index)] == max(wanted.values())

        scene = triton.InferInput("image", [1], "BYTES")
        scene.set_data_from_numpy(np.array([SCENE.read_bytes()], dtype=object))
        result = client.infer("det", [scene])
        count = int(result.as_numpy("num_detections")[0])
        assert count > 0 and result.as_numpy("boxes").shape == (count, 4)
        assert result.as_numpy("masks").shape == (count,)
        try:
            client.infer("det", [data])
            raise AssertionError("a detector takes no tensor")
        except triton.InferenceServerException as error:
            assert "has no input" in str(error), error
    print(f"tritonclient {getattr(triton, '__version__', '')} agrees")
    return 0


if __name__ == "__main__":
    sys.exit(main())
