"""Part affinity fields, grouping of keypoints into people, errors between keypoints."""
