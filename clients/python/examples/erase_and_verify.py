"""Erases a user and checks the receipt: python erase_and_verify.py URL USER [API_KEY]"""

import sys

from recant_client import Client


def main(url: str, user: str, api_key: str | None = None) -> None:
    with Client(url, api_key=api_key) as client:
        # Fetched before, so that the service cannot vouch for itself with new ones.
        keys = client.jwks()
        print(f"{len(client.export(user))} rows are held")
        erasure = client.erase_user(user)
        print(f"erasure {erasure.id} is durable; the salt of its receipt is {erasure.receipt_salt}")
        state = erasure.wait_until_forgotten()
        print(f"version {state.model_version_after} of the model has forgotten")
        receipt = erasure.verified_receipt(keys)
        print(f"the receipt holds: number {receipt.sequence} of {receipt.issuer}, about this user")
        bound = receipt.certificate.root_mean_square
        if receipt.certificate.is_proof:
            print(f"proven: scores are within {bound:.1e} of a model that never saw them")
        else:
            print("the certificate does not reach its target")
        print(f"{len(client.export(user))} rows are held")


if __name__ == "__main__":
    main(*sys.argv[1:])
