"""What an ordinary user's container cannot have, taken out of a configuration that was made for root's.

Only for what the runtime makes itself: a config.json that others have written is taken as it is.
"""

from shepherd.runtime.bundle import groups
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import user_namespace


def adapt(config: dict) -> None:
    """Change the configuration. Raises RuntimeFailure where a user is asked for that there are no ids for."""
    process, linux = config["process"], config["linux"]
    uids, gids = user_namespace.maps("uid"), user_namespace.maps("gid")
    adapt_user(process["user"])
    if not process.get("oomScoreAdj"):
        process.pop("oomScoreAdj", None)  # a session's may be higher, and only root lowers it
    for mount in config.get("mounts") or []:
        mount["options"] = [word for word in mount.get("options") or [] if not _is_unknown(word, uids, gids)]
    resources = dict(linux.get("resources") or {})
    resources.pop("devices", None)  # nothing can be made here, nor be opened that the user could not open
    linux["resources"] = resources
    if groups.delegated() is None:
        if resources:
            raise RuntimeFailure("limits need a control group, and none is delegated to this user", groups.REMEDY)
        linux.pop("cgroupsPath", None)


def adapt_user(user: dict) -> None:
    """Take the groups out of a `user` of config.json that it cannot be given. Raises RuntimeFailure for the user."""
    uids, gids = user_namespace.maps("uid"), user_namespace.maps("gid")
    if not (user_namespace.knows(uids, user["uid"]) and user_namespace.knows(gids, user["gid"])):
        raise RuntimeFailure(
            "there is no id for user %d:%d of the container: subordinate ids are needed (/etc/subuid, newuidmap)"
            % (user["uid"], user["gid"])
        )
    more = user.get("additionalGids") or []
    known = [gid for gid in more if user_namespace.knows(gids, gid)]
    user["additionalGids"] = known if user_namespace.may_set_groups() else []


def _is_unknown(word, uids, gids):
    """Options uid=N and gid=N with a number that is nobody's here."""
    name, _, value = word.partition("=")
    ranges = {"uid": uids, "gid": gids}.get(name)
    return ranges is not None and value.isdigit() and not user_namespace.knows(ranges, int(value))
