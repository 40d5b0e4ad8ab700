"""Where filters and tests come from that Shepherd has not got: for the message about an unknown one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shepherd.errors import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

COLLECTIONS = {
    "ansible.utils": "ipaddr ipv4 ipv6 ipwrap ipmath ipsubnet ip4_hex ipv6form hwaddr macaddr nthhost "
    "network_in_network "
    "network_in_usable next_nth_usable previous_nth_usable reduce_on_network slaac usable_range cidr_merge get_path "
    "to_paths index_of remove_keys replace_keys keep_keys consolidate validate to_xml from_xml in_any_network "
    "in_network ip ip_address ipv4_address ipv6_address mac resolvable subnet_of supernet_of",
    "community.general": "json_query dict_kv from_csv from_ini to_ini groupby_as_dict counter crc32 hashids_encode "
    "hashids_decode jc lists_mergeby lists_union lists_difference lists_intersect lists_symmetric_difference "
    "random_mac to_days to_hours to_minutes to_seconds to_milliseconds to_time_unit to_months to_weeks to_years "
    "unicode_normalize version_sort keep_keys remove_keys replace_keys dict a_module fqdn_valid",
    "ansible.netcommon": "parse_cli parse_cli_textfsm parse_xml type5_pw vlan_parser hash_salt comp_type5 pop_ace",
    "community.crypto": "x509_certificate_info x509_crl_info openssl_csr_info openssl_privatekey_info "
    "openssl_publickey_info split_pem gpg_fingerprint",
    "kubernetes.core": "k8s_config_resource_name",
}


def hint(name: str, known: Iterable[str]) -> str | None:
    """What to say about a filter or test that is unknown."""
    collection, _, short = name.rpartition(".")
    if collection and collection not in ("ansible.builtin", "ansible.legacy"):
        return f"it belongs to the collection {collection}, which Shepherd does not have"
    for owner, names in COLLECTIONS.items():
        if short in names.split():
            return f"it belongs to the collection {owner}, which Shepherd does not have"
    return nearest(short, (each for each in known if "." not in each))
